"""The credentials that `docker login` has left, as --with-registry-auth sends them."""

import base64
import json
from pathlib import Path

import pytest

from core.errors import FailedPrecondition
from pyswarm.cli.registry_auth import auth_headers

HUB = "https://index.docker.io/v1/"


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    return tmp_path / "config.json"


def entry(user: str, password: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


def sent(image: str) -> dict[str, str]:
    return json.loads(base64.urlsafe_b64decode(auth_headers(image)["X-Registry-Auth"]))


@pytest.mark.parametrize("image", ["busybox", "library/busybox:1", "docker.io/library/busybox", "alice/app"])
def test_an_image_without_a_host_is_of_the_hub(config, image):
    config.write_text(json.dumps({"auths": {HUB: entry("alice", "a:b")}}))
    assert sent(image) == {"serveraddress": HUB, "username": "alice", "password": "a:b"}


@pytest.mark.parametrize("host", ["registry.example.com", "localhost", "localhost:5000", "10.0.0.1:5000"])
def test_an_image_with_a_host_has_the_credentials_for_it(config, host):
    config.write_text(json.dumps({"auths": {HUB: entry("x", "x"), host: entry("bob", "p")}}))
    assert sent(f"{host}/team/app:1") == {"serveraddress": host, "username": "bob", "password": "p"}


def test_where_nobody_is_logged_in_an_empty_set_is_sent(config):
    assert auth_headers("busybox") == {"X-Registry-Auth": "e30="}
    config.write_text("{}")
    assert auth_headers("busybox") == {"X-Registry-Auth": "e30="}


def test_a_helper_is_asked(config, tmp_path, monkeypatch):
    helper = tmp_path / "docker-credential-vault"
    helper.write_text('#!/bin/sh\n[ "$(cat)" = known:5000 ] || exit 1\necho \'{"Username": "eve", "Secret": "s"}\'\n')
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    config.write_text(json.dumps({"credsStore": "vault"}))
    assert sent("known:5000/app") == {"serveraddress": "known:5000", "username": "eve", "password": "s"}
    assert sent("busybox") == {}
    config.write_text(json.dumps({"credHelpers": {"known:5000": "nowhere"}}))
    with pytest.raises(FailedPrecondition, match="docker-credential-nowhere cannot be run"):
        auth_headers("known:5000/app")


@pytest.mark.parametrize("text", ["no JSON", '{"auths": {"h:1": {"auth": "no base64"}}}', '{"auths": 1}'])
def test_what_is_not_readable_is_said_without_what_it_holds(config, text):
    config.write_text(text)
    with pytest.raises(FailedPrecondition) as refused:
        auth_headers("h:1/app")
    assert "log in again" in refused.value.message
    assert "no base64" not in refused.value.message
