"""The public names of Weights & Biases' client 0.31.0: each is there, or says what to use."""

from typing import Any

import pytest

import stepwell
from stepwell._hub_client import Hub
from stepwell.errors import UnavailableNameError
from tests.api.conftest import World
from tests.api.made_artifacts import make_version
from tests.hub.made import make_run
from tests.store.made import event, fresh_project, tell, writer

LIST = """
QUERY convert_objects cursor entity index last_response more next objects per_page update_variables
variables
"""
SHOWN = "display to_html"
FILE = (
    f"delete digest direct_url download id md5 mimetype name path_uri run size size_bytes {SHOWN}"
)
NAMES = {
    "run": f"""
        beta_scan_history commit config console_logs create created_at delete description dir
        display_name download_history_exports entity file files group heartbeat_at history
        history_keys history_line_count id job_type json_config lastHistoryStep load load_full_data
        log_artifact logged_artifacts metadata name notes path project rawconfig read_only save
        scan_history state stop storage_id summary summary_metrics sweep sweep_name system_metrics
        tags update update_state upload_file url use_artifact used_artifacts user username
        wait_until_finished {SHOWN}
    """,
    "artifact": """
        add add_dir add_file add_reference aliases checkout collection commit_hash created_at
        delete description digest digest_algorithm distributed_id download entity file file_count
        files finalize get get_added_local_path_name get_entry get_path history_step id incremental
        is_draft is_link json_encode link linked_artifacts linked_at logged_by manifest metadata
        name new_draft new_file project qualified_name remove save size source_artifact
        source_collection source_entity source_name source_project source_qualified_name
        source_version state tags ttl type unlink updated_at url use_as used_by verify version wait
    """,
    "file": FILE,
    "artifact_file": FILE,
    "saved_file": FILE,
    "entry": """
        birth_artifact_id digest digest_algorithm download extra local_path parent_artifact path ref
        ref_target ref_url size skip_cache
    """,
    "runs": f"filters histories length order project upgrade_to_full {LIST}",
    "versions": f"length {LIST}",
    "projects": f"length {LIST}",
    "sweeps": f"project {LIST}",
    "sweep": f"""
        agent agents best_loss best_run config created_at description display_name enqueue_run
        entity expected_run_count get id load method name order path project run_count
        run_count_expected runs state updated_at url user username {SHOWN}
    """,
    "project": f"""
        artifacts_types collections created_at entity entity_name id is_benchmark name owner path
        sweeps url user {SHOWN}
    """,
    "collection": """
        aliases artifacts change_type created_at delete description entity id is_sequence load name
        organization project project_id project_internal_id save tags type updated_at
    """,
    "kind": "collection collections entity id load name project type",
    "api": """
        api_key artifact artifact_collection artifact_collection_exists artifact_collections
        artifact_exists artifact_type artifact_types artifact_versions artifacts automation
        automations create_automation create_custom_chart create_project create_registry create_run
        create_run_queue create_team create_user default_entity delete_automation flush from_path
        integrations job list_jobs organization project projects queued_run registries registry
        reports run run_queue runs settings slack_integrations sweep sync_tensorboard team
        update_automation upsert_run_queue user user_agent users viewer webhook_integrations
    """,
}


@pytest.fixture(scope="module")
def objects(world: World) -> dict[str, Any]:
    project = fresh_project()
    make_run(world.store, project, "r")
    image = {"_type": "image-file", "blob": "b" * 32}
    who = writer(project, "r")
    tell(world.store, who, event("values", {"step": 0, "values": {"im": image}}))
    tell(world.store, who, event("metadata", {"set": {"git": {"commit": "c0ffee"}}}))
    make_version(world, project, "run-r-files", {"a.txt": b"1"}, type="run-files", run_id="r")
    make_version(world, project, "data")
    config = {"method": "grid", "parameters": {"x": {"values": [1, 2]}}}
    body = {"project": project, "config": config, "key": project}
    sweep = Hub(world.url, world.key).post("/sweeps", body)
    api = world.api
    run, artifact = api.run(f"{project}/r"), api.artifact(f"{project}/data")
    found = {type(each).__name__: each for each in run.files()}
    return {
        "api": api,
        "run": run,
        "artifact": artifact,
        "file": found["File"],
        "saved_file": found["SavedFile"],
        "artifact_file": artifact.files()[0],
        "entry": artifact.get_entry("a.txt"),
        "runs": api.runs(project),
        "versions": run.logged_artifacts(),
        "projects": api.projects(),
        "project": api.project(project),
        "sweeps": api.project(project).sweeps(),
        "sweep": api.sweep(sweep["id"]),
        "collection": api.artifact_collection("dataset", f"{project}/data"),
        "kind": api.artifact_type("dataset", project),
    }


@pytest.mark.parametrize("kind", NAMES)
def test_each_name_is_there_or_says_what_to_use(kind: str, objects: dict[str, Any]) -> None:
    missing, texts = [], {}
    for name in NAMES[kind].split():
        try:
            getattr(objects[kind], name)
        except UnavailableNameError as error:
            texts[name] = str(error)
        except AttributeError:
            missing.append(name)
    assert missing == []
    for name, text in texts.items():
        assert f" {name} is not available yet, only in a later release; " in text
        assert not hasattr(objects[kind], name)
    with pytest.raises(AttributeError, match="has no attribute 'other'"):
        _ = objects[kind].other


def test_the_values_of_such_names(objects: dict[str, Any]) -> None:
    run, artifact = objects["run"], objects["artifact"]
    assert (run.commit, run.read_only) == ("c0ffee", False)
    assert (artifact.is_link, artifact.incremental, artifact.linked_artifacts) == (False, False, [])
    assert artifact.source_artifact is artifact
    file = objects["artifact_file"]
    assert (file.size_bytes, file.direct_url) == (file.size, file.url)
    runs, project = objects["runs"], objects["project"]
    assert (next(runs).id, next(runs, None), [each.id for each in runs]) == ("r", None, ["r"])
    assert (runs.filters, runs.order, runs.per_page) == (None, "+created_at", 50)
    assert project.path == ["", project.name]
    assert [each.type for each in project.artifacts_types()] == ["dataset", "run-files"]
    assert [each.name for each in project.collections()] == ["data", "run-r-files"]
    assert not hasattr(stepwell.Artifact("a", type="b"), "new_draft")
