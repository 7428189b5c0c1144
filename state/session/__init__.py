"""Where a session lies, who holds it, what is asked of it, and which commands a person trusts."""

from autoresearch.state.session.heartbeat import Heartbeat, heartbeat_of, on_network, runs_elsewhere, watch_heartbeat
from autoresearch.state.session.ownership import refusal
from autoresearch.state.session.place import (
    CONFIG_FILE,
    Locked,
    NoRepository,
    NoSession,
    Place,
    SessionError,
    find_place,
)
from autoresearch.state.session.session import (
    Live,
    Request,
    Session,
    create_session,
    free_name,
    half_deleted,
    is_name,
    list_sessions,
    logs_of,
    open_session,
    show_to_people,
    target_of,
    write_live,
)
from autoresearch.state.session.trust import (
    Command,
    commands_in,
    commands_of,
    confirm_commands,
    confirmed_commands,
    forget_commands,
    note_pulled,
    pulled_commands,
)
