"""Daemons as the integration tests have them."""

from tests.integration import conftest as integration

models = integration.models
make_daemon = integration.make_daemon
