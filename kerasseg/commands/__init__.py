"""What `kerasseg` does on the command line, one command a file."""
