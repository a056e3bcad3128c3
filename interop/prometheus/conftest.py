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


def sent(folder, all_series):
    """Both servers after the same remote write."""
    pair = Pair(folder, CONFIG)
    for request in samples.requests(all_series):
        if request:
            body = encode(request, samples.METADATA)
            answers = [send(server.url, body) for server in pair]
            assert all(answer.status_code == 204 for answer in answers), [(each.status_code, each.text) for each in answers]
    yield pair
    pair.stop()


@pytest.fixture(scope="session")
def written(tmp_path_factory):
    """Series that came sorted, so that their order of creation is that of their labels."""
    yield from sent(tmp_path_factory.mktemp("written"), samples.all_series())


@pytest.fixture(scope="session")
def shuffled(tmp_path_factory):
    """The same in no order."""
    yield from sent(tmp_path_factory.mktemp("shuffled"), samples.shuffled_series())
