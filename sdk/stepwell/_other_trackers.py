"""Arguments of other trackers for `init` and `Settings`, and their effect here.

No I/O. Known names without a meaning here are accepted; unknown ones are mistakes.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from stepwell._terminal import OF_ALL

OTHER_NAMES: Final = {
    "id": "run_id",
    "run_name": "name",
    "run_notes": "notes",
    "run_tags": "tags",
    "run_group": "group",
    "run_job_type": "job_type",
    "x_label": "label",
    "x_primary": "primary",
    "root_dir": "journals_dir",
    "dir": "journals_dir",
    "data": "data_dir",
}
"""Settings that have another name here."""

INVERTED: Final = {"disable_git": "git", "x_disable_meta": "metadata"}
"""Settings that mean the opposite of one here."""

_IGNORED: Final = """
allow_media_symlink allow_offline_artifacts allow_val_change anonymous api_key app_url_override
azure_account_url_to_access_key base_url capture_loggers code_dir config_paths
console_chunk_max_bytes console_chunk_max_seconds console_multipart credentials_file
disable_code disable_git_fork_point disable_job_creation docker email finish_timeout_raises
force fork_from git_commit git_remote git_remote_url git_root heartbeat_seconds host http_proxy
https_proxy identity_token_file ignore_globs init_timeout insecure_disable_ssl job_name
job_source label_disable launch launch_config_path login_timeout
max_end_of_run_history_metrics max_end_of_run_summary_metrics notebook_name organization
program program_abspath program_relpath relogin resume_from resumed sagemaker_disable save_code
settings_system show_colors show_emoji show_errors show_info show_warnings start_method
stop_fn stop_on_fatal_error strict summary_timeout summary_warnings sweep_id
sweep_param_path symlink sync_tensorboard table_raise_on_max_row_limit_exceeded use_dot_wandb
username
x_cli_only_mode x_disable_machine_info x_disable_stats x_disable_viewer x_executable
x_extra_http_headers x_file_stream_max_bytes x_file_stream_max_line_bytes
x_file_stream_no_gzip x_file_stream_retry_max x_file_stream_retry_wait_max_seconds
x_file_stream_retry_wait_min_seconds x_file_stream_timeout_seconds
x_file_stream_transmit_interval x_file_transfer_retry_max
x_file_transfer_retry_wait_max_seconds x_file_transfer_retry_wait_min_seconds
x_file_transfer_timeout_seconds x_files_dir x_flow_control_custom x_flow_control_disabled
x_graphql_retry_max x_graphql_retry_wait_max_seconds x_graphql_retry_wait_min_seconds
x_graphql_timeout_seconds x_history_value_encoding x_internal_check_process x_jupyter_name
x_jupyter_path x_jupyter_root x_live_policy_rate_limit x_live_policy_wait_time x_log_level
x_network_buffer x_proxies x_runqueue_item_id x_save_requirements
x_server_side_derived_summary x_service_transport x_service_wait x_skip_transaction_log
x_start_time x_stats_buffer_size x_stats_coreweave_metadata_base_url
x_stats_coreweave_metadata_endpoint x_stats_cpu_count x_stats_cpu_logical_count
x_stats_dcgm_exporter x_stats_disk_paths x_stats_gpu_count x_stats_gpu_device_ids
x_stats_gpu_type x_stats_neuron_monitor_config_path x_stats_no_cgroup
x_stats_open_metrics_endpoints x_stats_open_metrics_filters
x_stats_open_metrics_http_headers x_stats_pid x_stats_sampling_interval x_stats_self_usage
x_stats_track_process_tree x_sync x_sync_dir_suffix x_transaction_log_flush_interval
x_update_finish_state
"""

IGNORED: Final = frozenset(_IGNORED.split())
"""Settings of Weights & Biases without a meaning here: no account, no cloud, no side process."""

_IGNORED_ARGUMENTS: Final = {
    "force": None,  # No login is needed.
    "anonymous": None,
    "relogin": None,
    "magic": "only log() records values",
    "monitor_gym": "videos of gym environments are not recorded",
    "save_code": "code is not recorded, only the git commit and the command line",
    "sync_tensorboard": "TensorBoard's files are not read; log the values with log()",
    "tensorboard": "TensorBoard's files are not read; log the values with log()",
}


def check_arguments(
    others: Mapping[str, Any],
    known: Iterable[str],
    warn: Callable[[str, str], None],
    *,
    variables: Mapping[str, str],
) -> None:
    """Print which of ``others``, arguments of `init`, have no effect.

    Args:
        variables: the variable of each setting.

    Raises:
        TypeError: One of them is unknown; names the nearest known one.
    """
    for name, value in others.items():
        if name not in _IGNORED_ARGUMENTS:
            near = nearest(name, [*known, *_IGNORED_ARGUMENTS], 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            if name in variables:
                hint = f"; pass settings={{{name!r}: …}} or set {variables[name]}"
            raise TypeError(f"init() has no argument {name!r}{hint}")
        outcome = _IGNORED_ARGUMENTS[name]
        if value and outcome:
            warn(f"{OF_ALL}init {name}", f"init({name}=…): {outcome}")


def nearest(name: str, known: Iterable[str], count: int) -> list[str]:
    """Return known names that are close to ``name``, the best first."""
    import difflib

    return difflib.get_close_matches(name, list(known), count)
