"""NO_PROXY in all its spellings, and the clients that obey it."""

import httpx
import pytest

from durable_agent_team.atxp.httpx_client import HttpxClient
from durable_agent_team.gateway.upstreams.upstream_client import UpstreamClient
from durable_agent_team.providers.proxies import proxy_problems, proxy_rules

PROXY = "http://proxy.example:3128"


def goes_direct(no_proxy: str, url: str) -> bool:
    found = proxy_rules({"HTTP_PROXY": PROXY, "HTTPS_PROXY": PROXY, "NO_PROXY": no_proxy})
    parts = httpx.URL(url)
    return found.proxy_of(parts.scheme, parts.host, parts.port) is None


@pytest.mark.parametrize(
    ("no_proxy", "url", "direct"),
    [
        ("localhost,10.0.0.0/8,fe80::/10,[::1]", "http://10.1.2.3/v1", True),
        ("localhost,10.0.0.0/8,fe80::/10,[::1]", "http://11.1.2.3/v1", False),
        ("localhost,10.0.0.0/8,fe80::/10,[::1]", "http://[fe80::1]:8402/v1", True),
        ("localhost,10.0.0.0/8,fe80::/10,[::1]", "http://[2001:db8::1]/v1", False),
        ("10.0.0.1/8", "http://10.9.9.9/", True),
        ("192.168.1.7", "https://192.168.1.7:8443/", True),
        ("192.168.1.7:8443", "https://192.168.1.7:8443/", True),
        ("192.168.1.7:8443", "https://192.168.1.7/", False),
        ("2001:db8::1", "http://[2001:db8::1]:9/", True),
        ("[2001:db8::1]:9", "http://[2001:db8::1]:9/", True),
        ("[2001:db8::1]:9", "http://[2001:db8::1]:8/", False),
        ("[2001:db8::]/32", "http://[2001:db8:5::1]/", True),
        ("example.com", "https://example.com/", True),
        ("example.com", "https://api.example.com/", True),
        ("example.com", "https://notexample.com/", False),
        (".example.com", "https://api.example.com/", True),
        ("*.example.com", "https://api.example.com/", True),
        ("example.com:443", "https://api.example.com/", True),
        ("example.com:443", "http://api.example.com/", False),
        ("EXAMPLE.com.", "https://Api.Example.COM/", True),
        (" , a.example , ", "http://a.example/", True),
        ("*", "https://anything.example/", True),
        ("http://intern.example", "http://intern.example/", True),
        ("localhost 10.0.0.0/8\tintern.example", "http://10.1.2.3/", True),
        ("localhost 10.0.0.0/8 intern.example", "http://api.intern.example/", True),
        ("10.0.0.0/255.0.0.0", "http://10.1.2.3/", True),
        ("10.0.0.0/8:8080", "http://10.1.2.3:8080/", True),
        ("10.0.0.0/8:8080", "http://10.1.2.3/", False),
        ("::ffff:10.0.0.1", "http://10.0.0.1/", True),
        ("10.0.0.1", "http://[::ffff:10.0.0.1]/", True),
        ("fe80::1%eth0", "http://[fe80::1]/", True),
        ("*.svc.cluster.local:8080", "http://a.svc.cluster.local:8080/", True),
        ("*:8080", "http://any.example:8080/", True),
        ("*:8080", "http://any.example/", False),
        ("", "http://example.com/", False),
        ("", "http://127.0.0.1:8402/", True),
        ("", "http://127.8.0.1/", True),
        ("", "http://localhost/", True),
        ("", "http://[::1]:8402/", True),
    ],
)
def test_no_proxy_means_what_it_means_to_curl(no_proxy: str, url: str, direct: bool) -> None:
    assert list(proxy_problems({"NO_PROXY": no_proxy})) == []
    assert goes_direct(no_proxy, url) is direct


@pytest.mark.parametrize(
    ("environment", "name", "part"),
    [
        ({"NO_PROXY": "localhost,10.0.0.0/99"}, "NO_PROXY", "10.0.0.0/99"),
        ({"no_proxy": "[::1"}, "no_proxy", "[::1"),
        ({"NO_PROXY": "host:port"}, "NO_PROXY", "host:port"),
        ({"NO_PROXY": "127.*"}, "NO_PROXY", "127.*"),
        ({"NO_PROXY": "10."}, "NO_PROXY", "10."),
        ({"NO_PROXY": "10.0.0.1-10.0.0.9"}, "NO_PROXY", "10.0.0.1-10.0.0.9"),
        ({"NO_PROXY": "<local>"}, "NO_PROXY", "<local>"),
        ({"NO_PROXY": '"a.example"'}, "NO_PROXY", '"a.example"'),
        ({"HTTPS_PROXY": "socks5://user:secret@h:1"}, "HTTPS_PROXY", ""),
        ({"ALL_PROXY": "http://h:99999"}, "ALL_PROXY", ""),
        ({"HTTP_PROXY": "http://"}, "HTTP_PROXY", ""),
    ],
)
def test_what_is_not_understood_is_named_with_its_setting(
    environment: dict[str, str], name: str, part: str
) -> None:
    [problem] = proxy_problems(environment)
    assert problem[:2] == (name, part)
    assert "secret" not in str(problem)
    proxy_rules(environment)


@pytest.mark.parametrize("kind", [HttpxClient, UpstreamClient])
async def test_clients_obey_them(
    kind: type[HttpxClient | UpstreamClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTP_PROXY", "proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", "localhost,10.0.0.0/8,fe80::/10,[::1]")
    async with kind() as client:
        direct = client._transport
        for url in ("http://10.0.0.1/", "http://[fe80::2]/", "http://127.0.0.1/", "https://a.b/"):
            assert client._transport_for_url(httpx.URL(url)) is direct
        assert client._transport_for_url(httpx.URL("http://api.example/")) is not direct
