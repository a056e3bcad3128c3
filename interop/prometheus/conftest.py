import pytest

import samples
from remote_write import encode, send
from servers import Pair

CONFIG = """
global: {evaluation_interval: 1m}
storage:
  tsdb: {out_of_order_time_window: 1d}
  exemplars: {max_exemplars: 100000}
"""


@pytest.fixture(scope="session")
def written(tmp_path_factory):
    """Both servers after the same remote write."""
    pair = Pair(tmp_path_factory.mktemp("written"), CONFIG)
    metadata = samples.METADATA
    for request in samples.requests(samples.all_series()):
        if request:
            body = encode(request, metadata)
            answers = [send(server.url, body) for server in pair]
            assert all(answer.status_code == 204 for answer in answers), [(each.status_code, each.text) for each in answers]
    yield pair
    pair.stop()
