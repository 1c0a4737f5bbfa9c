"""Secrets and configs: the real docker command, ours beside it, and what only pyswarm has: versions."""

import base64
import json
from pathlib import Path

import aiohttp
import pytest

from pyswarm.engineapi.ports import InitRequest
from tests.support.docker_cli import DockerCli, Result
from tests.support.fake_node import FakeNode
from tests.support.memory_cluster import MemoryCluster
from tests.support.pyswarm_cli import PyswarmCli

NOUNS = ["secret", "config"]
BASE = "http://docker/v1.44"
HIDDEN = b"hidden words \x00\xff"


@pytest.fixture
async def cluster(node: FakeNode, docker: DockerCli) -> MemoryCluster:
    await docker("swarm", "init", "--advertise-addr", "10.231.0.1")
    node.cluster.make_ages_steady()
    return node.cluster


@pytest.fixture
def pyswarm(socket_path: Path) -> PyswarmCli:
    return PyswarmCli(socket_path)


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "data"
    path.write_bytes(HIDDEN)
    return str(path)


async def inspect(docker: DockerCli, *arguments: str) -> dict:
    return json.loads((await docker(*arguments)).stdout)[0]


async def container_of(docker: DockerCli, service: str) -> dict:
    return (await inspect(docker, "service", "inspect", service))["Spec"]["TaskTemplate"]["ContainerSpec"]


@pytest.mark.parametrize("noun", NOUNS)
async def test_docker_creates_lists_inspects_and_removes(docker, cluster, file, noun) -> None:
    created = (await docker(noun, "create", "--label", "a=b", "one", file)).stdout.strip()
    listed = await docker(noun, "ls", "--format", "{{.ID}} {{.Name}} {{.Labels}}")
    assert listed.stdout == f"{created} one a=b\n"
    found = await inspect(docker, noun, "inspect", "one")
    assert (found["ID"], found["Spec"]["Name"], found["Spec"]["Labels"]) == (created, "one", {"a": "b"})
    assert (await docker(noun, "inspect", "--format", "{{.ID}}", created[:8])).stdout == f"{created}\n"
    twice = await docker.run(noun, "create", "one", file)
    assert twice == Result(
        1, "", f"Error response from daemon: rpc error: code = AlreadyExists desc = {noun} one already exists\n"
    )
    assert (await docker(noun, "rm", "one")).stdout == "one\n"
    assert (await docker(noun, "ls", "-q")).stdout == ""


async def test_a_secrets_data_comes_back_in_no_answer_and_a_configs_does(docker, cluster, session, file) -> None:
    for noun in NOUNS:
        await docker(noun, "create", "one", file)
    await docker("service", "create", "-d", "--name", "web", "--secret", "one", "--config", "one", "busybox")
    shown = base64.b64encode(HIDDEN).decode()
    for path in ("/secrets", "/secrets/one", "/services", "/services/web", "/tasks"):
        async with session.get(BASE + path) as response:
            text = await response.text()
            assert "one" in text, path
            assert "Data" not in text, path
            assert shown not in text, path
    assert (await inspect(docker, "config", "inspect", "one"))["Spec"]["Data"] == shown


async def test_docker_gives_them_to_services_and_takes_them_away(docker, cluster, file) -> None:
    ids = {noun: (await docker(noun, "create", "one", file)).stdout.strip() for noun in NOUNS}
    await docker("secret", "create", "two", file)
    flags = ("--secret", "source=one,target=/run/x,uid=1,gid=2,mode=0440", "--config", "one")
    await docker("service", "create", "-d", "--name", "web", *flags, "busybox")
    container = await container_of(docker, "web")
    assert container["Secrets"] == [
        {
            "File": {"Name": "/run/x", "UID": "1", "GID": "2", "Mode": 0o440},
            "SecretID": ids["secret"],
            "SecretName": "one",
        }
    ]
    assert container["Configs"] == [
        {"File": {"Name": "one", "UID": "0", "GID": "0", "Mode": 0o444}, "ConfigID": ids["config"], "ConfigName": "one"}
    ]
    await docker("service", "update", "-d", "--secret-rm", "one", "--secret-add", "two", "--config-rm", "one", "web")
    container = await container_of(docker, "web")
    assert [item["SecretName"] for item in container["Secrets"]] == ["two"]
    assert "Configs" not in container


@pytest.mark.parametrize("noun", NOUNS)
async def test_API_04_docker_is_told_who_uses_what_it_may_not_remove(docker, cluster, file, noun) -> None:
    await docker(noun, "create", "one", file)
    await docker("service", "create", "-d", "--name", "web", f"--{noun}", "one", "busybox")
    refused = await docker.run(noun, "rm", "one")
    assert refused.exit == 1
    assert f"{noun} 'one' is in use by the following service: web" in refused.stderr
    await docker("service", "rm", "web")
    await docker(noun, "rm", "one")


async def test_labels_can_be_updated_over_http_and_nothing_else(session, cluster) -> None:
    async def post(path: str, body: object) -> tuple[int, str]:
        async with session.post(BASE + path, json=body) as response:
            return response.status, await response.text()

    spec = {"Name": "one", "Labels": {}, "Data": base64.b64encode(HIDDEN).decode()}
    _, created = await post("/secrets/create", spec)
    secret_id = json.loads(created)["ID"]

    async def version() -> int:
        async with session.get(f"{BASE}/secrets/one") as response:
            return (await response.json())["Version"]["Index"]

    before = await version()
    for ref in ("one", secret_id, secret_id[:9]):
        changed = {"Name": "one", "Labels": {"ref": ref}}
        assert await post(f"/secrets/{ref}/update?version={await version()}", changed) == (200, "")
    status, text = await post(f"/secrets/one/update?version={before}", changed)
    assert (status, "update out of sequence" in text) == (500, True)
    status, text = await post(f"/secrets/one/update?version={await version()}", {**spec, "Data": "bmV3"})
    assert (status, "only updates to Labels are allowed" in text) == (400, True)
    assert (await post("/secrets/nosuch/update?version=1", changed))[0] == 404


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"Name": "one", "Data": "no base64!"}, "Data must be base64"),
        ({"Name": "one", "Data": "ä"}, "Data must be base64"),
        ({"Name": "one"}, "data must be larger than 0"),
        ({"Name": "a b", "Data": "YQ=="}, "invalid name"),
        ({"Name": "one", "Data": "YQ==", "Driver": {"Name": "vault"}}, "Driver"),
        ({"Name": "one", "Data": "YQ==", "Templating": {"Name": "jinja"}}, "jinja"),
        ({"Name": "one", "Data": base64.b64encode(b"x" * (1000 << 10)).decode()}, "less than"),
        ([], "must be a JSON object"),
    ],
)
@pytest.mark.parametrize("noun", NOUNS)
async def test_what_cannot_be_made_is_refused_with_the_reason(session, cluster, noun, body, words) -> None:
    async with session.post(f"{BASE}/{noun}s/create", json=body) as response:
        assert response.status == 400
        assert words in (await response.json())["message"]
    assert list(cluster.store.secrets()) == list(cluster.store.configs()) == []


async def test_the_largest_config_comes_through(session: aiohttp.ClientSession, cluster: MemoryCluster) -> None:
    data = base64.b64encode(b"x" * ((1000 << 10) - 1)).decode()
    async with session.post(f"{BASE}/configs/create", json={"Name": "one", "Data": data}) as response:
        assert response.status == 201
    async with session.get(f"{BASE}/configs/one") as response:
        assert (await response.json())["Spec"]["Data"] == data


@pytest.mark.parametrize("noun", NOUNS)
async def test_new_data_is_a_new_version_and_rolls_the_services_that_use_it(
    docker, pyswarm, cluster, file, noun
) -> None:
    old = (await docker(noun, "create", "--label", "a=b", "one", file)).stdout.strip()
    await docker("service", "create", "-d", "--name", "web", f"--{noun}", "one", "busybox")
    new = (await pyswarm(noun, "update", "one", "-", stdin="newer")).stdout.strip()
    assert new != old
    found = await inspect(docker, noun, "inspect", "one")
    assert (found["ID"], found["Revision"], found["Spec"]["Labels"]) == (new, 2, {"a": "b"})
    former = await inspect(docker, noun, "inspect", old)
    assert (former["Revision"], former["SupersededBy"]) == (1, new)
    assert (await docker(noun, "ls", "-q")).lines == [new]
    pretty = (await pyswarm(noun, "inspect", "--pretty", "one")).lines
    assert "Revision: 2" in pretty

    async def used() -> str:
        (reference,) = (await container_of(docker, "web"))[f"{noun.capitalize()}s"]
        return reference[f"{noun.capitalize()}ID"]

    assert await used() == new
    tasks = [task.spec.container for task in cluster.tasks.values() if task.desired_state <= 512]
    refs = [*tasks[0].secrets, *tasks[0].configs]
    assert getattr(refs[0], f"{noun}_id") == new
    await docker("service", "rollback", "-d", "web")
    assert await used() == old
    refused = await docker.run(noun, "rm", "one")
    assert "in use by the following service: web" in refused.stderr
    await docker("service", "rm", "web")
    await docker(noun, "rm", "one")
    assert list(cluster.store.secrets()) == list(cluster.store.configs()) == []


async def test_update_changes_labels_with_data_or_alone(docker, pyswarm, cluster, file) -> None:
    first = (await pyswarm("secret", "create", "-l", "a=b", "one", file)).stdout
    assert (await pyswarm("secret", "update", "--label-add", "c=d", "one")).stdout == first
    second = (await pyswarm("secret", "update", "--label-rm", "a", "one", "-", stdin="newer")).stdout
    assert second != first
    assert (await inspect(docker, "secret", "inspect", "one"))["Spec"]["Labels"] == {"c": "d"}
    for arguments, words in (
        (["update", "one"], "nothing to change"),
        (["update", "--label-rm", "x", "one"], "key x doesn't exist in secret's labels"),
        (["update", "nosuch", "-"], "secret nosuch not found"),
        (["create", "two", "/no/such/file"], "cannot read /no/such/file"),
        (["create", "two"], "file|-"),
    ):
        refused = await pyswarm.run("secret", *arguments, stdin="x")
        assert refused.exit != 0
        assert words in refused.stderr


async def test_data_is_taken_from_a_file_or_from_standard_input(docker, pyswarm, cluster, file) -> None:
    await pyswarm("config", "create", "file", file)
    await pyswarm("config", "create", "stdin", "-", stdin="typed")
    datas = {config.spec.name: config.spec.data for config in cluster.store.configs()}
    assert datas == {"file": HIDDEN, "stdin": b"typed"}


SAME = """
    secret ls
    secret list
    secret ls -q
    secret ls --format json
    secret ls --format {{.ID}}|{{.Name}}|{{.Driver}}|{{.CreatedAt}}|{{.Labels}}
    secret ls --format table|{{.Name}}\\t{{.UpdatedAt}}
    secret ls --filter name=o
    secret ls --filter label=a=b --filter name=one
    secret ls --filter name=nope
    secret ls --filter foo=bar
    secret inspect one
    secret inspect one ten2 nosuch
    secret inspect --pretty one
    secret inspect --pretty ten2
    secret inspect --pretty one ten2
    secret inspect --format {{.ID}}|{{.Spec.Name}}|{{.Spec.Labels.a}}|{{.Version.Index}} one ten2
    secret inspect -f json one
    secret inspect nosuch
    secret rm nosuch
    secret rm ten2 nosuch
    secret remove ten2
    config ls
    config ls -q
    config ls --format json
    config ls --format {{.ID}}|{{.Name}}|{{.Labels}}
    config ls --filter label=a
    config inspect one
    config inspect --pretty one
    config inspect --format {{.Spec.Name}}|{{json|.Spec.Data}} one
    config inspect nosuch
    config rm one
    config rm nosuch
    service create -d --secret nosuch busybox
    service create -d --config nosuch busybox
    service update -d --secret-add nosuch web
    service update -d --secret-rm one web
    secret rm one
    service inspect --pretty web
    service inspect web
    service inspect --format {{range|.Spec.TaskTemplate.ContainerSpec.Secrets}}{{.SecretName}}={{.File.Name}}{{end}} web
    secret inspect --format {{.Spec.Driver}}|{{.Spec.Templating}} one
""".strip().splitlines()


@pytest.mark.parametrize("line", [line.strip() for line in SAME])
async def test_both_commands_print_and_exit_the_same(docker, pyswarm, cluster, file, tmp_path, line) -> None:
    readable = tmp_path / "text"
    readable.write_text("key = value\n")
    for noun in NOUNS:
        await docker(noun, "create", "--label", "a=b", "one", str(readable))
        for name in ("ten2", "ten10"):
            await docker(noun, "create", name, file)
    await docker("service", "create", "-d", "--name", "web", "--secret", "one", "--config", "ten2", "busybox")
    words = [word.replace("|", " ") if word.startswith(("{{", "table")) else word for word in line.split()]
    theirs = await docker.run(*words)
    if words[1] in ("rm", "remove") and theirs.stdout:
        await docker(words[0], "create", words[2], file)  # what Docker's has removed, for ours
    ours = await pyswarm.run(*words)
    assert ours == theirs


@pytest.mark.parametrize(
    "flag",
    [
        "one",
        "source=one",
        "src=one,target=/x/y,mode=0400",
        "source=one,target=f,uid=1000,gid=100,mode=256",
        '"source=one","target=a,b"',
    ],
)
@pytest.mark.parametrize("noun", NOUNS)
async def test_both_commands_send_the_same_references(docker, pyswarm, cluster, file, noun, flag) -> None:
    await docker(noun, "create", "one", file)
    sent = []
    for command, name in ((docker, "theirs"), (pyswarm, "ours")):
        await command("service", "create", "-d", "--name", name, f"--{noun}", flag, "busybox")
        sent.append((await container_of(docker, name))[f"{noun.capitalize()}s"])
    assert sent[0] == sent[1]


@pytest.mark.parametrize(
    "flag", ["", "source=", "target=x", "source=one,foo=bar", "source=one,mode=rw", "source=one,uid", "foo"]
)
async def test_both_commands_refuse_the_same_references(docker, pyswarm, cluster, file, flag) -> None:
    await docker("secret", "create", "one", file)
    for command in (docker, pyswarm):
        assert (await command.run("service", "create", "-d", "--secret", flag, "busybox")).exit != 0
    assert cluster.services == {}


async def test_without_a_cluster_there_is_nothing_to_ask(session, node) -> None:
    for path in ("/secrets", "/configs", "/secrets/x"):
        async with session.get(BASE + path) as response:
            assert response.status == 503


async def test_a_version_is_added_over_http(session, node) -> None:
    await node.init(InitRequest())
    async with session.post(f"{BASE}/secrets/create", json={"Name": "one", "Data": "YQ=="}) as response:
        old = (await response.json())["ID"]
    async with session.post(f"{BASE}/pyswarm/secrets/one/versions", json={"Data": "Yg=="}) as response:
        assert response.status == 201
        assert (await response.json())["ID"] != old
    for body, status in (({"Data": ""}, 400), ({"Data": "!"}, 400), ({"Data": "Yg==", "Name": "x"}, 400)):
        async with session.post(f"{BASE}/pyswarm/secrets/one/versions", json=body) as response:
            assert response.status == status
    async with session.post(f"{BASE}/pyswarm/configs/one/versions", json={"Data": "Yg=="}) as response:
        assert response.status == 404
