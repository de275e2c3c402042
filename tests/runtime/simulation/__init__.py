"""The real stage runner, intake and janitor over in-memory servers, with Hypothesis choosing every interleaving."""
