import uuid

import pytest
from opentelemetry.sdk.resources import Resource

from exporters import TRANSPORTS
from tripod_server import Server


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """One server for all tests; each tells its rows apart by its service's name."""
    server = Server(tmp_path_factory.mktemp("tripod") / "data")
    yield server
    server.stop()


@pytest.fixture(params=TRANSPORTS, ids=str)
def transport(request):
    return request.param


@pytest.fixture
def service() -> str:
    return f"interop-{uuid.uuid4()}"


@pytest.fixture
def resource(service) -> Resource:
    """Attributes of every kind, known and unknown ones."""
    attributes = {
        "service.name": service,
        "service.namespace": "interop",
        "service.version": "1.2.3",
        "service.instance.id": "instance-1",
        "deployment.environment.name": "test",
        "host.name": "höst ☃",
        "process.pid": 4242,
        "load": 0.5,
        "is.test": True,
        "process.command_args": ["python", "-m", "app"],
        "ports": [1, 2, 3],
    }
    return Resource(attributes, schema_url="https://opentelemetry.io/schemas/1.38.0")
