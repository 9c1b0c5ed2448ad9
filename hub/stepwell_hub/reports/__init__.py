"""Reports: text with live panels, its parts, and the file that it is exported as."""
