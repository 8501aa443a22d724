"""The states of the host's playback, and the action for each event in each state.

Three tracks define the state:

- the current track plays, is about to start, or is paused;
- the armed track starts exactly at the end of the current one, on all machines without a further message;
- the pending track starts when no peer that playback waits for can still receive it: each has it, or its transfer was
  given up. Until then the current track plays on, or is paused, or has ended. If it has ended, the next track that is
  ready plays after three seconds of silence, and the pending track takes the place behind it. A far peer is waited for
  at most three seconds, and not at all when a track is armed or when its transfer obviously takes longer: it joins in
  as soon as it has the track.

| state            | current | armed | pending |
|------------------|---------|-------|---------|
| IDLE             | none    | no    | no      |
| WAITING          | none    | no    | yes     |
| PLAYING          | playing | no    | no      |
| ARMED            | playing | yes   | no      |
| CHANGING         | playing | no    | yes     |
| ARMED_CHANGING   | playing | yes   | yes     |
| PAUSED           | paused  | no    | no      |
| PAUSED_CHANGING  | paused  | no    | yes     |

A track is never armed without a current track that plays. The host disarms the armed track when another one becomes
pending, except if the end of the current track is too near: the message that disarms would arrive after the start of
the armed track. A pending track that only far peers lack is armed itself.
"""

from __future__ import annotations

import enum

from phaselock.model.notices import Code


class Current(enum.Enum):
    """What the current track does."""

    NONE = "none"
    PLAYING = "playing"
    PAUSED = "paused"


class PlayState(enum.Enum):
    """Values: the current track; whether a track is armed; whether a track is pending."""

    IDLE = Current.NONE, False, False
    WAITING = Current.NONE, False, True
    PLAYING = Current.PLAYING, False, False
    ARMED = Current.PLAYING, True, False
    CHANGING = Current.PLAYING, False, True
    ARMED_CHANGING = Current.PLAYING, True, True
    PAUSED = Current.PAUSED, False, False
    PAUSED_CHANGING = Current.PAUSED, False, True


class Event(enum.Enum):
    """What happens: a command of the user, the passage of time, or the arrival of files."""

    PLAY = "play"
    """`play` without a track."""
    PLAY_ROW = "play_row"
    """`play` with a track."""
    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"
    SEEK = "seek"
    NEXT = "next"
    PREVIOUS = "previous"

    END = "end"
    """The last frame of the current track was played."""
    RECEIVED = "received"
    """No peer that playback waits for can still receive the pending track."""
    AUTOPLAY = "autoplay"
    """The user has asked to start as soon as enough peers are ready."""
    NEXT_READY = "next_ready"
    """No near peer that playback waits for can still receive the track that follows the current one."""
    NEXT_MISSING = "next_missing"
    """No track follows the current one, or a near peer that playback waits for can still receive it."""
    OVERDUE = "overdue"
    """The pending track has been waited for too long, and a track behind it is ready."""


class Action(enum.Enum):
    """What the host does."""

    IGNORE = "ignore"
    START = "start"
    """Start a track while no track is current, if the near peers are ready for it; for far ones it may be pending."""
    CHANGE = "change"
    """Start another track if the peers have it; otherwise make it the pending one."""
    PAUSE = "pause"
    """Stop at one instant and keep the position. The pending track is forgotten. If the armed track starts before that
    instant, it becomes the current one first."""
    RESUME = "resume"
    """Continue at the position of the pause."""
    STOP = "stop"
    """Stop at one instant. All three tracks are forgotten."""
    SEEK = "seek"
    """Go to another position in the current track. A paused track stays paused."""
    BACK = "back"
    """Go to the beginning of the current track, or change to the track before it."""
    PROMOTE = "promote"
    """The armed track becomes the current one. Another pending track stays pending: the user has chosen it."""
    FINISH = "finish"
    """No track is current. The track that follows becomes the pending one."""
    ARM = "arm"
    """Arm the track that follows, unless it is armed already."""
    DISARM = "disarm"
    """Clear the armed track."""
    OVERTAKE = "overtake"
    """Move the first ready track behind the pending one before it, and start it."""


Cell = Action | Code | None
"""Code: the host refuses the command with this notice. None: the event cannot occur in this state."""

_ALREADY, _NOTHING, _UNPAUSED = Code.ALREADY_PLAYING, Code.NOTHING_PLAYING, Code.NOTHING_PAUSED
_A = Action
_S = PlayState

# fmt: off
_COMMANDS: dict[PlayState, tuple[Cell, ...]] = {
    #                    PLAY       PLAY_ROW   PAUSE      RESUME     STOP       SEEK       NEXT       PREVIOUS
    _S.IDLE:            (_A.START,  _A.START,  _NOTHING,  _UNPAUSED, _NOTHING,  _NOTHING,  _NOTHING,  _NOTHING),
    _S.WAITING:         (_A.START,  _A.START,  _NOTHING,  _UNPAUSED, _A.STOP,   _NOTHING,  _A.CHANGE, _NOTHING),
    _S.PLAYING:         (_ALREADY,  _A.CHANGE, _A.PAUSE,  _UNPAUSED, _A.STOP,   _A.SEEK,   _A.CHANGE, _A.BACK),
    _S.ARMED:           (_ALREADY,  _A.CHANGE, _A.PAUSE,  _UNPAUSED, _A.STOP,   _A.SEEK,   _A.CHANGE, _A.BACK),
    _S.CHANGING:        (_ALREADY,  _A.CHANGE, _A.PAUSE,  _UNPAUSED, _A.STOP,   _A.SEEK,   _A.CHANGE, _A.BACK),
    _S.ARMED_CHANGING:  (_ALREADY,  _A.CHANGE, _A.PAUSE,  _UNPAUSED, _A.STOP,   _A.SEEK,   _A.CHANGE, _A.BACK),
    _S.PAUSED:          (_A.RESUME, _A.CHANGE, _NOTHING,  _A.RESUME, _A.STOP,   _A.SEEK,   _A.CHANGE, _A.BACK),
    _S.PAUSED_CHANGING: (_A.RESUME, _A.CHANGE, _NOTHING,  _A.RESUME, _A.STOP,   _A.SEEK,   _A.CHANGE, _A.BACK),
}
_OTHERS: dict[PlayState, tuple[Cell, ...]] = {
    #                    END         RECEIVED    AUTOPLAY    NEXT_READY  NEXT_MISSING  OVERDUE
    _S.IDLE:            (None,       None,       _A.START,   None,       None,         None),
    _S.WAITING:         (None,       _A.CHANGE,  _A.IGNORE,  None,       None,         _A.OVERTAKE),
    _S.PLAYING:         (_A.FINISH,  None,       _A.IGNORE,  _A.ARM,     _A.IGNORE,    None),
    _S.ARMED:           (_A.PROMOTE, None,       _A.IGNORE,  _A.ARM,     _A.DISARM,    None),
    _S.CHANGING:        (_A.FINISH,  _A.CHANGE,  _A.IGNORE,  _A.ARM,     _A.IGNORE,    _A.IGNORE),
    _S.ARMED_CHANGING:  (_A.PROMOTE, _A.CHANGE,  _A.IGNORE,  _A.ARM,     _A.DISARM,    _A.IGNORE),
    _S.PAUSED:          (None,       None,       _A.IGNORE,  None,       None,         None),
    _S.PAUSED_CHANGING: (None,       _A.CHANGE,  _A.IGNORE,  None,       None,         _A.IGNORE),
}
# fmt: on

TABLE: dict[PlayState, dict[Event, Cell]] = {
    state: dict(zip(Event, _COMMANDS[state] + _OTHERS[state], strict=True)) for state in PlayState
}
"""The action for each event in each state."""
