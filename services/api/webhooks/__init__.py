"""Webhooks: a client is told when its job is over, signed as Standard Webhooks says, until it has heard it or a day is over."""
