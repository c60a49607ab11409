"""Pure rules that the command line and the workflow share."""
