import http.server
import threading
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import pytest

from sample_workers.http_check import CheckFailedError, http_check
from tasky.cancel import Cancelled, Reason, Token
from tasky.worker import Context

if TYPE_CHECKING:
    from tests.samples.conftest import RecordingLine

BODY = b"x" * 200_000


class Site(http.server.BaseHTTPRequestHandler):
    """Answers the status that the path names, and notes what it was asked."""

    logins: list[str | None]
    targets: list[str]

    def do_GET(self) -> None:
        self.targets.append(self.path)
        self.logins.append(self.headers["Authorization"])
        self.send_response(int(self.path.split("?")[0].strip("/") or 200))
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its name there
        """Keep the test output clean."""


@pytest.fixture
def site() -> Iterator[str]:
    """The address of a real server."""
    Site.logins, Site.targets = [], []
    with http.server.HTTPServer(("127.0.0.1", 0), Site) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def closed_port() -> str:
    with http.server.HTTPServer(("127.0.0.1", 0), Site) as server:
        return f"127.0.0.1:{server.server_port}"


def test_a_good_answer_is_told_with_its_size(ctx: Context, site: str) -> None:
    output = http_check(ctx, f"http://{site}/200?a=b#part")

    assert output.pop("elapsed_s") >= 0
    assert output == {"url": f"http://{site}/200?a=b", "status": 200, "bytes": len(BODY)}


def test_another_status_is_a_failure_unless_it_is_expected(ctx: Context, site: str) -> None:
    with pytest.raises(CheckFailedError, match="answers 503 Service Unavailable, not 200"):
        http_check(ctx, f"http://{site}/503")

    assert http_check(ctx, f"http://{site}/503", expect_status=503)["status"] == 503


def test_a_redirect_is_an_answer_and_not_followed(ctx: Context, site: str) -> None:
    assert http_check(ctx, f"http://{site}/302", expect_status=302)["status"] == 302
    assert len(Site.logins) == 1


def test_a_login_is_sent_and_never_shown(
    ctx: Context, site: str, closed_port: str, line: "RecordingLine"
) -> None:
    output = http_check(ctx, f"http://ann:s%40cret@{site}/")
    with pytest.raises(CheckFailedError) as wrong:
        http_check(ctx, f"http://ann:s%40cret@{site}/404")
    with pytest.raises(CheckFailedError) as silent:
        http_check(ctx, f"http://ann:s%40cret@{closed_port}/")

    assert Site.logins == ["Basic YW5uOnNAY3JldA=="] * 2
    told = f"{output}{wrong.value}{silent.value}{line.logged}"
    assert "cret" not in told
    assert "ann" not in told
    assert silent.value.__suppress_context__


def test_a_closed_port_is_a_failure_that_names_the_address(ctx: Context, closed_port: str) -> None:
    with pytest.raises(
        CheckFailedError, match=rf"http://{closed_port}/ gives no answer: .*refused"
    ):
        http_check(ctx, f"http://{closed_port}/")


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://localhost/",
        "gopher://localhost/",
        "localhost",
        "http://",
        "http:///path",
        "http://localhost:99999/",
        "http://[::1/",
        "",
    ],
)
def test_only_http_and_https_addresses_are_asked(ctx: Context, url: str) -> None:
    with pytest.raises(ValueError, match="URL cannot be used"):
        http_check(ctx, url)


def test_blanks_and_letters_beyond_ascii_are_encoded(ctx: Context, site: str) -> None:
    http_check(ctx, f"http://{site}/200?a b=ü\x01&c=%20")

    assert Site.targets == ["/200?a%20b=%C3%BC%01&c=%20"]


def test_a_host_that_is_no_name_is_a_failure(ctx: Context) -> None:
    with pytest.raises(CheckFailedError, match="gives no answer"):
        http_check(ctx, f"http://{'a' * 70}.example/")


def test_a_server_that_never_ends_its_answer_meets_the_timeout(ctx: Context) -> None:
    class Slow(Site):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            ended.wait(10)

    ended = threading.Event()
    with http.server.HTTPServer(("127.0.0.1", 0), Slow) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        with pytest.raises(CheckFailedError, match="timed out"):
            http_check(ctx, f"http://127.0.0.1:{server.server_port}/", timeout_s=0.05)
        ended.set()
        thread.join()


def test_a_cancel_ends_the_reading(
    ctx: Context, site: str, token: Token, line: "RecordingLine"
) -> None:
    line.on_progress = partial(token.cancel, Reason.USER)
    with pytest.raises(Cancelled):
        http_check(ctx, f"http://{site}/")

    assert len(line.reports) == 1
