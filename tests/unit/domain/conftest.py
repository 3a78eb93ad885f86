"""Properties are checked without a deadline: other work on the machine makes no decision wrong."""

from hypothesis import settings

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
