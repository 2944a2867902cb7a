"""The store: the only place of SQL and sqlite3."""
