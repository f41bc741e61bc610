from __future__ import annotations

import traceback
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auto_interventions.audit_file import load_audit
from auto_interventions.errors import BadInput, ConfigError
from auto_interventions.locations import RedisAddress, absolute_location, check_location, redis_address, seconds_of
from auto_interventions.stores import open_store

GOOD = {
    "redis://box": RedisAddress("box"),
    "redis://box:7000/3": RedisAddress("box", 7000, db=3),
    "REDIS://box/": RedisAddress("box"),
    "redis://worker@box:7000/0": RedisAddress("box", 7000, username="worker"),
    "redis://[::1]:7000": RedisAddress("::1", 7000),
    "redis://box?db=2": RedisAddress("box", db=2),
    "redis://box/0?namespace=my.project-1&ttl=30d": RedisAddress("box", namespace="my.project-1", ttl=2_592_000),
    "rediss://box/0?ssl_ca_certs=/ca.pem&ssl_certfile=/me.pem&ssl_keyfile=/key.pem": RedisAddress(
        "box", tls=True, ssl_ca_certs="/ca.pem", ssl_certfile="/me.pem", ssl_keyfile="/key.pem"
    ),
    "unix:///run/redis.sock": RedisAddress(socket="/run/redis.sock"),
    "unix:///run/my%20redis.sock?db=1&ttl=90s": RedisAddress(socket="/run/my redis.sock", db=1, ttl=90),
    "embedded": None,
    "../a folder": None,
    "C:/store": None,
}

BAD = {
    "": r"is empty; use `embedded`, the path of a folder, redis://",
    "  ": "is empty",
    "s3://bucket/x": "knows no s3://; use `embedded`",
    "http://box": "knows no http://",
    "redis://": "names no host; write redis://host:6379/0",
    "redis:///0": "names no host",
    "redis://box:port/0": "has no port that can be; write redis://host:6379/0",
    "redis://box:99999/0": "has no port that can be",
    "redis://[::1/0": "has no port that can be",
    "redis://box/zero": "has no number of a database",
    "redis://box/0/1": "has no number of a database",
    "redis://box?db=-1": "has no number of a database",
    "redis://box?namspace=x": "has an unknown parameter `namspace`; did you mean `namespace`",
    "redis://box?TTL=3d": "has an unknown parameter `TTL`",
    "redis://box?ssl_cafile=x": "has an unknown parameter `ssl_cafile`; did you mean `ssl_c",
    "redis://box?ttl=soon": "has a duration 'soon' that cannot be; write for example 12h, 30d or 8w",
    "redis://box?ttl=0d": "has a duration '0d' that cannot be",
    "redis://box?ttl=1d&ttl=2d": "gives `ttl` twice",
    "redis://box?ttl=": "gives `ttl` without a value",
    "redis://box?namespace=a:b": "has the namespace 'a:b'; use at most 64 letters",
    "redis://box?namespace=*": "has the namespace",
    "redis://box?ssl_ca_certs=/ca.pem": "gives `ssl_ca_certs`, which needs TLS; write rediss://",
    "unix://redis.sock": "has unix:// but no absolute path",
}


@pytest.mark.parametrize("location", GOOD)
def test_locations_that_can_be(location: str) -> None:
    check_location(location)
    address = redis_address(location)
    assert address == GOOD[location]
    if address is not None and not address.tls:
        assert redis_address(str(address)) == address  # what people are shown can be given again


@pytest.mark.parametrize("location", BAD)
def test_locations_that_cannot_be(location: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=BAD[location]):
        check_location(location)
    with pytest.raises(BadInput, match=f"^`store` {BAD[location]}"):
        open_store(location)


SECRETS = (
    "redis://:s3cret@box/0",
    "redis://worker:s3cret@box:6379/0",
    "redis://:s3cret/with/slashes@box",
    "redis://:s3cret#hash?mark@box",
    "rediss://:s3c@s3cret@box:1/0?namespace=x",
    "unix://:s3cret@/run/redis.sock",
    "unix://worker:s3cret@/run/redis.sock?db=0",
    "redis://worker:@box",
    "redis://box/0?password=s3cret",
    "unix:///run/redis.sock?password=s3cret",
    "rediss://box?ssl_password=s3cret",
    "http://me:s3cret@box",
)


@pytest.mark.parametrize("location", SECRETS)
def test_a_password_is_refused_and_never_repeated(location: str, tmp_path: Path) -> None:
    file = tmp_path / "audit.yaml"
    file.write_text(f"name: x\nbase: {{model: m}}\nintervention: {{model: n}}\nprompts: {{path: p}}\nstore: '{location}'\nembeding: 1\n")
    said: list[str] = []
    for attempt in (
        lambda: open_store(location),
        lambda: load_audit(file),
        lambda: load_audit(file, ["embeding=null", f"store={location}"]),
    ):
        with pytest.raises(BadInput) as refused:
            attempt()
        said.append("".join(traceback.format_exception(refused.value)))
    file.write_text(file.read_text().replace("embeding: 1\n", ""))
    with pytest.raises(
        ConfigError, match=r"audit.yaml: `store` holds a (password|secret).*; set REDIS_PASSWORD .*in the environment"
    ) as refused:
        load_audit(file)
    said.append("".join(traceback.format_exception(refused.value)))
    assert "s3c" not in "\n".join(line for text in said for line in text.splitlines() if "load_audit(file" not in line)


def test_an_audit_file_names_a_redis_and_tls_files_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "audit.yaml"
    start = "name: x\nbase: {model: m}\nintervention: {model: n}\nprompts: {path: p}\n"
    for written, loaded in {
        "redis://box:6379/0?ttl=30d": "redis://box:6379/0?ttl=30d",
        "rediss://box/0?namespace=a&ssl_ca_certs=tls/ca.pem": f"rediss://box/0?namespace=a&ssl_ca_certs={tmp_path}/tls/ca.pem",
        "embedded": "embedded",
        "kept/here": str(tmp_path / "kept/here"),
    }.items():
        file.write_text(f"{start}store: {written}\n")
        assert load_audit(file).store == loaded
    file.write_text(f"{start}store: redis://box/0?tl=30d\n")
    with pytest.raises(ConfigError, match=r"audit\.yaml: `store` has an unknown parameter `tl`; did you mean `ttl`\?$"):
        load_audit(file)
    file.write_text(f"{start}store: ''\n")
    with pytest.raises(ConfigError, match="`store` is empty"):
        load_audit(file)


def test_paths_are_made_absolute_and_nothing_else(tmp_path: Path) -> None:
    assert absolute_location("s", tmp_path) == str(tmp_path / "s")
    assert absolute_location("~/s", tmp_path) == str(Path.home() / "s")
    assert absolute_location("redis://[::1/0", tmp_path) == "redis://[::1/0"
    url = "rediss://box/0?ssl_ca_certs=/etc/ca.pem"
    assert absolute_location(url, tmp_path) == url


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("45m", 2_700), ("12h", 43_200), ("30d", 2_592_000), ("8W", 4_838_400), ("7", 7)]
)
def test_durations(text: str, seconds: int) -> None:
    assert seconds_of(text) == seconds


@given(st.text(max_size=40))
def test_no_text_breaks_the_parser(text: str) -> None:
    for location in (text, f"redis://{text}", f"unix://{text}", f"rediss://box/0?{text}"):
        with suppress(ValueError):
            address = redis_address(location)
            assert address is None or redis_address(str(address)) is not None
