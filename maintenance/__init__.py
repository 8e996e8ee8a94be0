"""What an operator runs to see whether everything is there, and to mend it."""
