"""Which requests go through a proxy: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY. Pure.

NO_PROXY is read as curl and Go read it: host names (also their subdomains; a leading `.` or `*.`
makes no difference), IP addresses, networks such as `10.0.0.0/8` or `fe80::/10`, each with a port
if wanted, or `*` for every host, with commas or spaces between them. httpx refuses most of these.
"""

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

SCHEMES = ("http", "https", "all")
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
LOCAL_NAME = "localhost"


@dataclass(frozen=True, slots=True)
class DirectHost:
    """One entry of NO_PROXY: a network or a name, for one port or for all of them."""

    network: Network | None
    name: str
    port: int | None

    def covers(self, host: str, port: int | None) -> bool:
        if self.port is not None and self.port != port:
            return False
        if self.network is None:
            return self.name in ("*", host) or host.endswith(f".{self.name}")
        address = _address(host)
        return address is not None and address in self.network


@dataclass(frozen=True, slots=True)
class ProxyRules:
    """`proxies` by scheme: `http`, `https`, or `all` for both."""

    proxies: Mapping[str, str]
    exceptions: tuple[DirectHost, ...]

    def proxy_of(self, scheme: str, host: str, port: int | None) -> str | None:
        """The proxy's URL; None for a direct connection, as always to this machine."""
        plain = host.strip("[]").lower().rstrip(".")
        address = _address(plain)
        if plain == LOCAL_NAME or (address is not None and address.is_loopback):
            return None
        at = port or (443 if scheme == "https" else 80)
        if any(each.covers(plain, at) for each in self.exceptions):
            return None
        return self.proxies.get(scheme) or self.proxies.get("all")


def proxy_rules(environment: Mapping[str, str]) -> ProxyRules:
    """What the variables say, in upper or lower case. Entries that `proxy_problems` names are left
    out."""
    proxies = {}
    for scheme in SCHEMES:
        _, text = _variable(environment, f"{scheme}_proxy")
        if text and _proxy_problem(text) is None:
            proxies[scheme] = text if "://" in text else f"http://{text}"
    _, listed = _variable(environment, "no_proxy")
    parsed = [_parsed(each) for each in _entries(listed)]
    return ProxyRules(proxies, tuple(each for each in parsed if each is not None))


def proxy_problems(environment: Mapping[str, str]) -> Iterator[tuple[str, str, str, str]]:
    """Each variable that cannot be used: its name, what of its value, what is wrong, a remedy. A
    proxy's URL is not repeated, since it can hold a password."""
    for scheme in SCHEMES:
        name, text = _variable(environment, f"{scheme}_proxy")
        problem = _proxy_problem(text) if text else None
        if problem is not None:
            yield name, "", problem, "write it as http://HOST:PORT"
    name, listed = _variable(environment, "no_proxy")
    for each in _entries(listed):
        if _parsed(each) is None:
            remedy = "use host names, IP addresses, networks such as 10.0.0.0/8 or fe80::/10, or *"
            yield name, each[:80], "is neither a host nor a network", remedy


def _variable(environment: Mapping[str, str], name: str) -> tuple[str, str]:
    """Lower case comes first, as everywhere."""
    for spelling in (name, name.upper()):
        if environment.get(spelling, "").strip():
            return spelling, environment[spelling].strip()
    return name.upper(), ""


def _proxy_problem(text: str) -> str | None:
    scheme, separator, rest = text.partition("://")
    if separator and scheme.lower() not in ("http", "https"):
        return f"{scheme[:20]}:// is not a kind of proxy that is supported"
    authority = (rest if separator else text).split("/")[0].rpartition("@")[2]
    host, port = _host_and_port(authority)
    good = host and port != -1 and not any(c.isspace() or not c.isprintable() for c in text)
    return None if good else "is not the URL of a proxy"


def _entries(listed: str) -> list[str]:
    return listed.replace(";", " ").replace(",", " ").split()


def _parsed(text: str) -> DirectHost | None:
    """None for what is neither a name, an address nor a network."""
    entry = text.lower().partition("://")[2] or text.lower()
    network = _network(entry)
    if network is not None:
        return DirectHost(network, "", None)
    host, port = _host_and_port(entry.rstrip("/"))
    network = _network(host)
    if network is not None and port != -1:
        return DirectHost(network, "", port)
    name = host.removeprefix("*").removeprefix(".").rstrip(".") if host != "*" else "*"
    if port == -1 or not (name == "*" or _is_name(name)):
        return None
    return DirectHost(None, name, port)


def _is_name(text: str) -> bool:
    """Digits and dots alone are an address that is none, such as `10.` or `10.0.0.1-10.0.0.9`."""
    plain = all(part and all(c.isalnum() or c in "-_" for c in part) for part in text.split("."))
    return plain and not all(c in "0123456789.-" for c in text)


def _host_and_port(text: str) -> tuple[str, int | None]:
    """The port is None where there is none, and -1 where it is not one."""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            return "", -1
        port = rest[1:]
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    else:
        host, port = text, ""
    if not port:
        return host, None
    good = port.isascii() and port.isdigit() and 0 < int(port) < 65_536
    return host, int(port) if good else -1


def _network(text: str) -> Network | None:
    plain = text.replace("[", "").replace("]", "") if text.count("[") == text.count("]") else text
    if "/" not in text and text.startswith("[") and not text.endswith("]"):
        return None  # with a port
    try:
        network = ipaddress.ip_network(plain.partition("%")[0], strict=False)
    except ValueError:
        return None
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    if mapped is not None and network.prefixlen >= 96:
        return ipaddress.ip_network((mapped, network.prefixlen - 96))
    return network


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address
