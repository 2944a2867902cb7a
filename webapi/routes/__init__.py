"""One file per noun; each parses a request, makes one client call and returns its wire form."""
