"""The command line: parses options, calls one library function, renders, exits. No arithmetic here."""
