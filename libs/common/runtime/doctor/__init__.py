"""Whether a service is set up right: what is looked at, what was found, and what to do about it. Nothing here changes anything."""
