"""The tools that every worker has: arithmetic, the run's documents, and pages of allowed hosts.

`built_in_tools` describes and calls them; each has a file of its own. All of them only read.
"""
