"""Workers that are there from the start: useful on any server, short enough to learn from.

One idea per file. Each imports only `tasky` and the standard library; what else it needs is
imported inside the function, so that a missing library costs one worker and not all.
"""
