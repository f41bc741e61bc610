"""`auto-interventions deploy` and `serve`: audits that are started from the Prefect UI, by schedules, over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from auto_interventions.cli.completing import runners
from auto_interventions.cli.consoles import err_console, note, out_console, print_json, tell
from auto_interventions.cli.options import Json


def deploy(
    pool: Annotated[str | None, typer.Option("--pool", help="Work pool; made where it is not there. Default: the type's name.")] = None,
    kind: Annotated[Literal["process", "docker", "kubernetes"], typer.Option("--type", help="What its workers start.")] = "process",
    prefect_file: Annotated[
        Path | None, typer.Option("--prefect-file", help="Another prefect.yaml than the one that comes with the package.")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option("--folder", help="Process pools: where relative paths begin on the worker; default: this folder.")
    ] = None,
    image: Annotated[str | None, typer.Option("--image", help="Docker and Kubernetes pools: the image.")] = None,
    store: Annotated[str | None, typer.Option("--store", help="A store for all of them, in place of the audit files': redis://…")] = None,
    runner: Annotated[
        str | None,
        typer.Option(
            "--runner",
            help="Where the forms propose to run, in place of threads: tcp://HOST:8786, dask, dask-cuda.",
            autocompletion=runners,
        ),
    ] = None,
    secret: Annotated[
        list[str] | None,
        typer.Option("--secret", metavar="NAME", help="Keep this environment variable as a Secret block and give it to flow runs."),
    ] = None,
    notify: Annotated[
        str | None,
        typer.Option("--notify", metavar="URL", envvar="AUTO_INTERVENTIONS_NOTIFY_URL", help="Webhook that validated side effects go to."),
    ] = None,
    results: Annotated[
        str | None,
        typer.Option(
            "--results",
            metavar="PLACE",
            help="Storage block for results of tasks: a folder that all workers share, or s3://BUCKET/PATH.",
            show_default=False,
        ),
    ] = None,
    judging: Annotated[
        int | None,
        typer.Option(
            "--judging-at-once", metavar="N", min=1, help="How many audits may judge by language models at a time.", show_default=False
        ),
    ] = None,
    resume_at_most: Annotated[int, typer.Option("--resume-at-most", min=0, help="How often a crashed run is started again.")] = 3,
    json_output: Json = False,
) -> None:
    """Makes work pool, deployments, secrets and automations on the Prefect server that is named. Again: nothing changes."""
    from auto_interventions.cli.watching import Watching
    from auto_interventions.flows.bootstrap import automate, keep_results, keep_secrets, limit_judging
    from auto_interventions.flows.deploying import Wanted, answering, find_prefect_file, named_server
    from auto_interventions.flows.deploying import deploy as make
    from auto_interventions.flows.runners import check_runner
    from auto_interventions.report.console import titled_table

    if runner is not None:
        check_runner(runner)
    path = prefect_file or find_prefect_file()
    url = named_server()
    with Watching(err_console) as watcher, answering(url):
        watcher.stage("deploying")
        environment, made = keep_secrets(secret or ())
        if results is not None:
            kept, stored = keep_results(results)
            environment, made = environment | kept, made + stored
        if judging is not None:
            bounded, limited = limit_judging(judging)
            environment, made = environment | bounded, made + limited
        name = pool or kind
        overrides = [f"store={store}"] if store else []
        made += make(path, Wanted(name, kind, folder or Path.cwd(), image, environment, overrides, runner))
        made += automate(name, resume_at_most, notify)
    ui = f"{url.removesuffix('/api')}/deployments"
    if json_output:
        things = [{"kind": thing.kind, "name": thing.name, "done": thing.done, "about": thing.about} for thing in made]
        print_json({"schema": "auto-interventions/deployed@1", "pool": name, "type": kind, "made": things, "ui": ui})
        return
    table = titled_table("On the server")
    for column in ("what", "name", "", "about"):
        table.add_column(column)
    for thing in made:
        table.add_row(thing.kind, thing.name, thing.done, thing.about)
    out_console.print(table)
    tell(f"UI: {ui}")
    tell(f"Next: prefect worker start --pool {name} --type {kind}")


def serve(
    host: Annotated[str, typer.Option("--reports-host", help="Where reports are served; 0.0.0.0 shows them to the network.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--reports-port", help="Port of the reports; 0: a free one.")] = 4280,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Flow runs at a time.")] = 2,
    json_output: Json = False,
) -> None:
    """Prefect's UI with all deployments, on this machine: no work pool, no worker. Ctrl-C ends all of it."""
    from auto_interventions.flows.serving import serve as run

    note("Starting: a Prefect server where none is named, deployments, reports …")

    def served(what: str, where: str) -> None:
        if json_output:
            print_json({"what": what, "where": where}, indent=None)
        else:
            tell(f"{what}: {where}")

    run(host, port, limit, served)
