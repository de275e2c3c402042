"""Sites for the tests of sources by URL: local servers that speak the real protocols, serve real media, and count what they sent.

`films` makes the media and `packagings` their files for HTTP, HLS and DASH; `site` serves them, with the `pages` and `manifests`
that lead to them, and with the `faults` of real sites.
"""
