"""Sentences of events and notices, for the command line, the window and the `message` of `--json`.

All texts are message ids of gettext, in English. Every function takes the language as `words`. Programs, logs and other
machines always receive `ENGLISH`. `N_` marks message ids in tables.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any
from uuid import UUID

from phaselock.errors import PhaseLockError
from phaselock.language.message import ENGLISH, N_, Figure, Message, Words, joined, translated
from phaselock.model.code import CODE_RULE, shown_code
from phaselock.model.file_kinds import UnplayableFileError, format_of
from phaselock.model.heritage import Cause
from phaselock.model.invitation import InvitationState
from phaselock.model.notices import Code, Notice
from phaselock.model.role import ROLE_PHRASES
from phaselock.model.snapshot import RequestState, SessionSnapshot
from phaselock.model.timing import TIMING_PHRASES, TIMING_SENTENCES
from phaselock.session import events as e
from phaselock.session.hearing_sentences import hearing_text
from phaselock.session.party_sentences import party_text

MAX_NAMED = 3
"""Largest number of files that a summary names; it only counts the others."""
MAX_NAME_CHARS = 60
"""Longest file name in a summary, in characters. Longer names are cut in the middle."""

NOTICES: dict[Code, str] = {
    Code.OTHER: "",
    Code.NO_SUCH_TRACK: N_("There is no such track in the queue."),
    Code.QUEUE_FULL: N_("The queue is full."),
    Code.FILE_TOO_LARGE: N_("{file_name} is too large to be shared."),
    Code.ALREADY_PLAYING: N_("It is playing already."),
    Code.NOTHING_TO_PLAY: N_("There is nothing to play."),
    Code.NOTHING_PLAYING: N_("Nothing is playing."),
    Code.NOTHING_PAUSED: N_("Nothing is paused."),
    Code.NO_SUCH_POSITION: N_("There is no such place in the track."),
    Code.NO_NEXT_TRACK: N_("There is no next track."),
    Code.NOTHING_TO_RETRY: N_("There is nothing to try again."),
    Code.NO_SUCH_PEER: N_("There is no peer called {peer}."),
    Code.WAITING_FOR_PEERS: N_("Waiting for all peers to receive the file."),
    Code.STARTS_WHEN_RECEIVED: N_("{file_name} starts as soon as it is there. Waiting for {peers}."),
    Code.PLAYS_LATER: N_("{file_name} plays later. Still waiting for {peers}."),
    Code.GOING_ON_WITHOUT: N_("Going on without {peer}: it does not receive {file_name} in time."),
    Code.JOINS_LATER: N_("{peer} is far away, and joins in as soon as it has received {file_name}."),
    Code.NOT_IN_TIME: N_("Not yet in time with the host: {peers}."),
    Code.CLOCK_NOT_CONVERGING: N_("The clock of {peer} does not keep up with the host's. It would not play in time."),
    Code.CLOCK_SILENT_AT_PEER: N_(
        "{peer} cannot hear this machine's clock on UDP port {number}, so it cannot play in time. A firewall or a VPN "
        "blocks it: open UDP port {number} on this machine, or switch the VPN off."
    ),
    Code.TRANSFER_GIVEN_UP: N_("{peer} could not receive {file_name} in {number} tries."),
    Code.CANNOT_SEND: N_("{file_name} cannot be sent: {detail}"),
    Code.RELAY_LEFT_OUT: N_(
        "{peer} passed on damaged parts of songs. From now on no machine fetches songs from there."
    ),
    Code.UNPLAYABLE_HERE: N_("This machine cannot play {file_name}: {detail}"),
    Code.UNPLAYABLE_AT_PEER: N_("{peer} cannot play {file_name}: {detail}"),
    Code.NO_SUCCESSION: N_("No other machine may become the host of this jam."),
    Code.NO_SUCCESSOR: N_("No other machine is ready to become the host."),
    Code.CANNOT_HOST: N_("{peer} cannot become the host."),
    Code.HANDING_OVER: N_("The jam is being handed over. Please wait a moment."),
    Code.HAND_OVER_FAILED: N_("{peer} did not take over. This machine is still the host."),
    Code.HANDED_OVER: N_("{peer} is the host now. You left the jam."),
    Code.PEER_BARRED: N_("{peer} was not let in, because {choices} was removed."),
    Code.NOT_REMOVED: N_("No peer called {peer} was removed."),
    Code.NO_SUCH_GUEST: N_("There is no such guest."),
    Code.GUEST_NOT_REMOVED: N_("No guest called {peer} was removed."),
    Code.PEER_TOO_SLOW: N_(
        "{peer} needs {number} ms for each command, and nothing waits for it that long. It begins late after each of "
        "them."
    ),
    Code.EVENTS_LEFT_OUT: N_("{number} more messages about outputs, clocks and files of {peer} are not shown."),
    Code.REQUESTS_LEFT_OUT: N_("{peer} has asked for {number} more songs and withdrawn that."),
    Code.VOTED: N_("You have voted for {file_name}."),
    Code.VOTE_TAKEN_BACK: N_("You no longer vote for {file_name}."),
    Code.VOTE_TOO_LATE: N_("This song does not wait any more."),
    Code.SKIP_WANTED: N_("You have voted for leaving {file_name}."),
    Code.GUEST_ALLOWED: N_("{peer} may come in again."),
    Code.NO_GUESTS: N_("No guest is here."),
    Code.FALLBACK_SET: N_("When nothing waits, songs of the fallback play: {number}."),
    Code.FALLBACK_OFF: N_("When nothing waits, nothing plays."),
    Code.FALLBACK_UNPLAYABLE: N_("No song of the fallback can be played, so it is off."),
    Code.NO_SKIP_VOTE: N_("Leaving a song by votes is off."),
    Code.ORDER_IS_FAIR: N_("The rules order the songs, so they cannot be shuffled."),
    Code.REQUEST_OVER: N_("That request is over."),
    Code.ALREADY_QUEUED: N_("{file_name} is in the queue already."),
    Code.ALREADY_REQUESTED: N_("You have asked for this song already."),
    Code.NOT_CONNECTED: N_("There is no connection to the host just now. Please try again in a moment."),
    Code.CHAT_OFF: N_("The chat is switched off in this jam."),
    Code.CHAT_TOO_FAST: N_("That was too fast. Please write again in a few seconds."),
    Code.CHAT_BUSY: N_("Too many messages arrive just now. Please write again in a few seconds."),
    Code.CHAT_TOO_LONG: N_("A message has at most {number} characters."),
    Code.PEER_LEFT: N_("It left."),
    Code.PEER_REMOVED: N_("The host has removed it."),
    Code.PEER_RECONNECTED: N_("It reconnects."),
    Code.PEER_SILENT: N_("Nothing was heard from there for 5 seconds."),
    Code.PEER_REPORTS_NOTHING: N_("It told nothing about its output for 15 seconds."),
    Code.PEER_BROKE_PROTOCOL: N_("That machine broke the protocol: {detail}."),
    Code.PEER_CONNECTION_LOST: "",
    Code.SESSION_ENDED: N_("Session ended."),
    Code.SESSION_LEFT: N_("You left the jam."),
    Code.HOST_LOST: N_("Host disconnected — session ended."),
    Code.HOST_SILENT: N_("The host does not answer."),
    Code.HOST_BROKE_PROTOCOL: N_("The host broke the protocol: {detail}."),
    Code.HOST_CONNECTION_LOST: N_("The connection to the host was lost: {detail}."),
    Code.JOIN_REJECTED: N_("The host has rejected this machine."),
    Code.BARRED: N_("{detail} Ask the host to let you in again."),
    Code.CODE_NEEDED: N_("This jam has a code. Ask the host for it."),
    Code.CODE_WRONG: N_("The code is wrong."),
    Code.CODE_NOT_ASKED: N_(
        "This jam does not ask for the code. Perhaps it is another one with the same name: join it without a code if "
        "it is the right one."
    ),
    Code.CODE_GUESSED: N_("{number} wrong codes were tried. Change the code if your guests have not mistyped it."),
    Code.INVITATION_GUESSED: N_(
        "{number} wrong codes were tried from elsewhere. Withdraw the invitation if you expect no friend."
    ),
    Code.INVITATION_VOID: N_(
        "{number} wrong codes were tried from elsewhere, so the invitation no longer lets anyone in. Withdraw it and "
        "invite again."
    ),
    Code.NO_INVITATION: N_("No invitation is open."),
    Code.CODE_VOID: N_("{number} wrong codes were tried, so this code no longer lets anyone in. Change it."),
    Code.CODE_UNUSABLE: CODE_RULE,
    Code.HOST_KEY_CHANGED: N_(
        "{peer} has another key than the last time. Either it is another machine, or PhaseLock was reset there. "
        "Compare these words with those that {peer} shows: {detail}"
    ),
    Code.OTHER_SESSION: N_("Another jam answers at the address that was announced."),
    Code.INVITATION_OLD: N_("This invitation is for a jam that is over. Ask your friend for a new one."),
    Code.INVITATION_WANTED: N_(
        "The host is still not found: its address may have changed. Ask the host for its newest invitation, and paste "
        "it here."
    ),
    Code.INVITATION_TAKEN: N_("Looking for the host where this invitation says."),
    Code.INVITATION_HERE: N_("You are in this jam: the invitation is for others."),
    Code.INVITATION_ELSEWHERE: N_("This invitation is for another jam. To join that one, leave this one first."),
    Code.OTHER_VERSION: N_(
        "Another version of PhaseLock is running there. Please install the same one on both machines."
    ),
    Code.LOOKING_FOR_HOST: N_("The host cannot be heard. Looking for it."),
    Code.CLOCK_SILENT: N_(
        "The host's clock does not answer on UDP port {number}, so this machine cannot play in time. A firewall or a "
        "VPN blocks it: open UDP port {number} on the host's machine, or switch the VPN off."
    ),
    Code.TOO_SLOW: N_(
        "This machine needs {number} ms for each command of the host, which does not wait for it that long. It begins "
        "late after each of them. Choose an output with less delay, or a better network."
    ),
    Code.CLOCK_UNREACHABLE: N_(
        "This machine may not send to the host's clock on UDP port {number} ({detail}), so it cannot play in time. Its "
        "firewall or a VPN blocks it: allow UDP port {number}, or switch the VPN off."
    ),
    Code.PLAYING_WITHOUT_HOST: N_("The host cannot be heard. Playing on, and looking for it."),
    Code.NO_OUTPUT: N_("No audio output detected."),
    Code.MUTED: N_("This speaker is muted. Type: volume 50"),
    Code.NOT_ANNOUNCED: N_("{detail} Others cannot find this jam by itself; tell them: phaselock join {address}"),
    Code.RELAYS_USED: N_("The connection may go over {detail}. Seen there: addresses and amounts, but no content."),
    Code.INTERNET_EXTRA_MISSING: N_("No direct way was found. To try relays, too, install them: {detail}"),
    Code.NO_WAY: N_("The host cannot be reached, neither directly nor over relays. Is the invitation still open?"),
    Code.NO_SESSION_FOUND: N_(
        "No jam was found on this network. You can still join by address: phaselock join ADDRESS"
    ),
    Code.RIVAL_HOSTS: "",
    Code.SETTINGS_TROUBLE: "",
    Code.LOG_TROUBLE: "",
    Code.INVALID_FILE: N_("Invalid or corrupted {kind} file: {file_name}"),
    Code.UNPLAYABLE_FILE: N_("{file_name} cannot be played: {detail}."),
    Code.NOTHING_TO_CANCEL: N_("No file is being converted."),
    Code.ENDS_EARLY: N_("{file_name} ends early: its end is missing."),
    Code.NO_FILE: N_("There is no file {file_name}."),
    Code.FILE_UNREADABLE: N_("{file_name} cannot be read: {detail}."),
    Code.PATH_UNREADABLE: "",
    Code.CANNOT_ADD: N_("{file_name} cannot be added: {detail}."),
    Code.NOT_A_FILE: N_("not a plain file"),
    Code.NOT_MUSIC: N_("no music"),
    Code.NESTED_PLAYLIST: N_("a playlist inside a playlist"),
    Code.PLAYLIST_TOO_LARGE: N_("too large for a playlist"),
    Code.PLAYLIST_TOO_LONG: N_("more than {number} entries"),
    Code.ELSEWHERE: N_("not on this machine"),
    Code.TOO_MANY_FILES: N_("too many files at once"),
    Code.CHECK_RUNS: N_("A check runs already."),
    Code.CHECK_NEEDS_MUSIC: N_("A check hears the machines play. Let a song play first."),
    Code.CHECK_SONG_ENDS: N_("The song ends too soon for a check. Try again in the next song."),
    Code.CHECK_STOPPED: N_("The check was stopped."),
    Code.CHECK_DISTURBED: N_("The music changed during the check."),
    Code.CALIBRATION_RUNS: N_("A calibration runs already."),
    Code.CALIBRATION_ALONE: N_("No other machine plays here, so there is nothing to compare."),
    Code.TOO_MANY_TO_HEAR: N_("More than {number} machines play here: too many for one microphone."),
    Code.CALIBRATION_STOPPED: N_("The calibration was stopped. It has changed nothing."),
    Code.NO_LEVELS: N_("No microphone has heard how loud the machines are. First: calibrate"),
    Code.LEVELS_EVEN: N_("The machines are as equally loud as trims can make them."),
    Code.NO_TRIMS: N_("No volume is trimmed."),
    Code.MICROPHONE_FAR: N_("{peer} is far away: its microphone does not hear the loudspeakers here."),
    Code.NO_MICROPHONE: N_("{peer} has no microphone."),
    Code.NO_SUCH_MICROPHONE: N_(
        "The microphone that was chosen on {peer} is not there. Plug it in, or choose another one."
    ),
    Code.NO_RECORDING_SYSTEM: N_(
        "{peer} has no sound system that can record. On Linux that is PulseAudio, or PipeWire with pipewire-pulse."
    ),
    Code.MICROPHONE_DENIED: N_("The system of {peer} does not let PhaseLock use the microphone."),
    Code.MICROPHONE_DENIED_BY_WINDOWS: N_(
        "Windows does not let PhaseLock use the microphone of {peer}. Allow it there for desktop apps: "
        "Settings > Privacy & security > Microphone."
    ),
    Code.MICROPHONE_DENIED_BY_MACOS: N_(
        "macOS does not let PhaseLock use the microphone of {peer}. Allow it there, and start PhaseLock again: "
        "System Settings > Privacy & Security > Microphone."
    ),
    Code.MICROPHONE_NOT_ALLOWED: N_("{peer} has not allowed its microphone."),
    Code.MICROPHONE_LOST: N_("The microphone of {peer} was unplugged, or it stopped."),
    Code.MICROPHONE_SILENT: N_(
        "The microphone of {peer} delivers only silence. Is it muted, or its input level at zero?"
    ),
    Code.MICROPHONE_SILENT_ON_MACOS: N_(
        "The microphone of {peer} delivers only silence. Either it is muted, or macOS does not let PhaseLock use it: "
        "System Settings > Privacy & Security > Microphone."
    ),
    Code.MICROPHONE_CLIPPED: N_("It is too loud for the microphone of {peer}. Turn its input level down."),
    Code.LISTENER_WITHOUT_SONG: N_("{peer} does not play the song, so its microphone cannot check it."),
    Code.MICROPHONE_FAILED: N_("The microphone of {peer} cannot be used. The reason there: phaselock log"),
    Code.LISTENER_SILENT: N_("The microphone of {peer} does not answer."),
    Code.NOTHING_WAITS: N_("No calibration waits for you."),
    Code.PLACES_CONTRADICT: N_(
        "What was heard at the loudspeakers does not fit together. Put the microphone as close to each of them as you "
        "can. Nothing was changed."
    ),
    Code.DISTANCES_MISSING: N_("How far from the microphone is the loudspeaker of {peers}? Please say so in metres."),
    Code.CALIBRATION_SET_ASIDE: "",
    Code.MICROPHONE_ON: N_("The host may listen by this microphone until you leave."),
    Code.MICROPHONE_OFF: N_("The host may not listen by this microphone."),
    Code.MICROPHONE_NOT_ASKED: N_("The host does not ask for this microphone now."),
    Code.VOLUME: N_("Volume {number} %."),
    Code.ROLE: N_("This speaker plays {role}."),
    Code.TRIM: N_("Volume trim {detail} dB."),
    Code.OFFSET: N_("Offset {detail} ms."),
    Code.HEARD: "",
    Code.NO_OFFSET_YET: N_("No output is open. An offset belongs to an output."),
    Code.REPEAT_ON: N_("Repeat is on: the queue begins again after its last song."),
    Code.REPEAT_OFF: N_("Repeat is off: the music ends after the last song."),
    Code.ADDING: N_("Adding {file_name}."),
    Code.MOVED: N_("{file_name} is number {number} now."),
    Code.REMOVED: N_("Removed {file_name}. To bring it back: undo"),
    Code.RESTORED: N_("{file_name} is back in the queue."),
    Code.QUEUE_SAVED: N_("The queue is saved in {file_name}."),
    Code.FILE_EXISTS: N_("There is a file {file_name} already. To replace it: save --replace {detail}"),
    Code.SHUFFLED: N_("The coming songs are shuffled."),
    Code.SHUFFLE_OFF: N_("Shuffle is off: the songs play in their order."),
    Code.SENDING_AGAIN: N_("Sending the missing songs again."),
    Code.PEER_VOLUME: N_("{peer}: volume {number} %."),
    Code.PEER_MUTED: N_("{peer} is muted."),
    Code.PEER_UNMUTED: N_("{peer} is no longer muted."),
    Code.PEER_ROLE: N_("{peer} plays {role}."),
    Code.PEER_ALLOWED: N_("{peer} may join again."),
    Code.NOT_WAITING: N_("No longer waiting for {peer}."),
    Code.UNKNOWN_COMMAND: N_("Unknown command: {detail}. Type help for a list."),
    Code.MISTYPED_COMMAND: N_("Unknown command: {detail}. Did you mean {choices}?"),
    Code.HOST_DECIDES: N_("Only the host can do that."),
    Code.ONE_SONG: N_("Only single songs can be requested; {file_name} is a folder or a playlist."),
    Code.USAGE: N_("Usage: {detail}"),
    Code.NOTHING_REMOVED: N_("Nothing was removed."),
    Code.NO_TRACK_NUMBER: N_("There is no track {number} in the queue."),
    Code.NO_REQUEST_NUMBER: N_("There is no request {number}."),
    Code.NO_LIBRARY: N_("There is no music folder to search in. Host with --library FOLDER."),
    Code.NO_FOUND_NUMBER: N_("The last search has found no song {number}."),
    Code.MEASUREMENT_CUT_SHORT: N_("{detail} What came before is kept."),
    Code.BENCHMARK: "",
}
"""The sentence of each code. Empty: `detail` is the sentence."""

DETAIL_DECIDES = frozenset({Code.SESSION_ENDED, Code.JOIN_REJECTED, Code.CODE_WRONG, Code.NOT_MUSIC})
"""Codes whose `detail`, if present, replaces the sentence."""

SHORT: dict[Code, str] = {
    Code.NO_FILE: N_("no such file"),
    Code.FILE_TOO_LARGE: N_("too large to be shared"),
    Code.INVALID_FILE: N_("Invalid or corrupted {kind} file"),
    Code.UNPLAYABLE_FILE: "{detail}",
    Code.FILE_UNREADABLE: N_("cannot be read: {detail}"),
}
"""Texts after the name of a file in a summary, for codes whose sentence contains the name too."""

QUEUE_LIMIT = N_("The queue is full: it holds {number} tracks.")
RETRY_HINT = N_("Try again (retry {peer}) or go on without it (without {peer}).")
"""Follows `TRANSFER_GIVEN_UP` on the command line; the window has buttons instead."""
SET_ASIDE_HINT = N_("To use it: offset anyway")
"""Follows `CALIBRATION_SET_ASIDE` on the command line."""
CODE_HINT = N_("Then: --code CODE, or the environment variable PHASELOCK_CODE.")
"""Follows `CODE_NEEDED` on the command line where it cannot ask."""
NO_OUTPUT_HINT = N_("This machine plays no sound. What to do: phaselock doctor")
"""Follows `NO_OUTPUT` on the command line."""
QUIT_HINT = N_("To end the jam for everybody, type quit.")
"""For the command line, also after `NO_SUCCESSION` and `NO_SUCCESSOR`."""
ALLOW_HINT = N_("To let it in: allow {choices}")
"""Follows `PEER_BARRED` on the command line."""
REMOVED_PEERS = N_("Removed: {peers}.")
"""Follows `NOT_REMOVED` if there are some."""
DID_YOU_MEAN = N_("Did you mean {choices}?")
"""Follows `NO_SUCH_PEER` if a peer has a similar name."""

PLAIN_EVENTS: dict[type[e.Event], str] = {
    e.SessionOpened: N_('The jam "{session_name}" is open. Others join with: phaselock join {address}'),
    e.Joined: N_('You are in "{session_name}", hosted by {host_name}, as {name}.'),
    e.PeerJoined: N_("{name} has joined."),
    e.FileReady: N_("{file_name} is ready."),
    e.Playing: N_("Playing {file_name}."),
    e.Paused: N_("Paused at {position}."),
    e.Resumed: N_("Going on at {position}."),
    e.Seeked: N_("Going to {position}."),
    e.Stopped: N_("Stopped."),
    e.TrackEnded: N_("{file_name} has ended."),
    e.ChatSaid: N_("{name} says: {text}"),
    e.MicrophoneAsked: N_(
        "{host} wants to listen by this machine's microphone for about 15 seconds, to calibrate the speakers. "
        "To allow it: microphone once, or until you leave: microphone on. To refuse: microphone off."
    ),
}
HOST_HEARD_AGAIN = N_("The host is heard again.")
NEW_HOSTS: dict[Cause, str] = {
    Cause.HANDED_OVER: N_("{name} is the host now."),
    Cause.HOST_LOST: N_("The host is gone. {name} is the host now, and the music plays on."),
    Cause.REUNION: N_("Two parts of the jam have met again. {name} is the host now."),
}
NEW_HOSTS_HERE: dict[Cause, str] = {
    Cause.HANDED_OVER: N_("You are the host now."),
    Cause.HOST_LOST: N_("The host is gone. You are the host now, and the music plays on."),
    Cause.REUNION: N_("Two parts of the jam have met again. You are the host now."),
}
"""The same where this machine is the host."""
TRANSFERS: dict[e.TransferState, str] = {
    e.TransferState.DONE: N_("{peer} has received {file_name}."),
    e.TransferState.RETRY: N_("{file_name} did not reach {peer}; trying again."),
    e.TransferState.FAILED: N_("{file_name} did not reach {peer}."),
}
CONVERSIONS: dict[e.ConversionState, str] = {
    e.ConversionState.STARTED: N_("Converting {file_name}."),
    e.ConversionState.CONVERTING: N_("Converting {file_name}: {done_percent} %."),
    e.ConversionState.CANCELLED: N_("The conversion of {file_name} was cancelled."),
}
"""The queue tells that a conversion has ended, and an error why it has failed."""
NOT_ARRIVED = N_("{file_name} did not arrive: {reason}")
REQUESTS: dict[RequestState, str] = {
    RequestState.OPEN: N_('{peer} wants to add "{song}" ({megabytes} MB): accept {number} or reject {number}.'),
    RequestState.ACCEPTED: N_('"{song}" is on its way from {peer}.'),
    RequestState.CONVERTING: N_('"{song}" from {peer} is being converted: {percent} %.'),
    RequestState.ADDED: N_('"{song}", which {peer} asked for, is in the queue.'),
    RequestState.REJECTED: N_('"{song}" was declined.'),
    RequestState.FAILED: N_('"{song}", which {peer} asked for, does not come: {reason}'),
}
OWN_REQUESTS: dict[RequestState, str] = {
    RequestState.OPEN: N_('The host was asked for "{song}".'),
    RequestState.ACCEPTED: N_('The host wants "{song}"; it is on its way.'),
    RequestState.CONVERTING: N_('The host is converting "{song}": {percent} %.'),
    RequestState.ADDED: N_('"{song}" is in the queue.'),
    RequestState.REJECTED: N_('"{song}" is not added: {reason}'),
    RequestState.FAILED: N_('"{song}" is not added: {reason}'),
}


class NoticeError(PhaseLockError):
    """Something cannot be done; `notice` says what. The text of the exception is the English sentence."""

    def __init__(self, notice: Notice) -> None:
        super().__init__(notice_text(notice, hints=True))
        self.notice = notice

    def text(self, words: Words) -> str:
        return notice_text(self.notice, words, hints=True)


def notice_of(error: PhaseLockError) -> Notice:
    """The notice for any error of the program."""
    if isinstance(error, NoticeError):
        return error.notice
    if isinstance(error, UnplayableFileError):
        code = Code.INVALID_FILE if error.why is None else Code.UNPLAYABLE_FILE
        return Notice(code, error.why or "", file_name=error.file_name)
    return Notice(Code.OTHER, error.message)


def notice_text(notice: Notice, words: Words = ENGLISH, *, hints: bool = False) -> str:
    """The sentence of a notice. `hints`: add the commands that the user can type in response."""
    template = NOTICES[notice.code]
    if hints and notice.code is Code.CALIBRATION_SET_ASIDE:
        return f"{translated(notice.detail, words)} {words.gettext(SET_ASIDE_HINT)}"
    if not template or (notice.detail and notice.code in DETAIL_DECIDES):
        return translated(notice.detail, words)
    if notice.code is Code.QUEUE_FULL and notice.number is not None:
        template = QUEUE_LIMIT
    parts = [template]
    if hints and notice.code is Code.TRANSFER_GIVEN_UP:
        parts.append(RETRY_HINT)
    elif hints and notice.code is Code.PEER_BARRED:
        parts.append(ALLOW_HINT)
    elif hints and notice.code in (Code.NO_SUCCESSION, Code.NO_SUCCESSOR):
        parts.append(QUIT_HINT)
    elif notice.code is Code.NOT_REMOVED and notice.peers:
        parts.append(REMOVED_PEERS)
    elif hints and notice.code is Code.NO_OUTPUT:
        parts.append(NO_OUTPUT_HINT)
    elif hints and notice.code is Code.CODE_NEEDED:
        parts.append(CODE_HINT)
    elif notice.code is Code.OTHER_VERSION and notice.detail:
        parts.append("({detail})")
    elif notice.code is Code.NO_SUCH_PEER and notice.choices:
        parts.append(DID_YOU_MEAN)
    return " ".join(words.gettext(part).format_map(_values(notice, words)) for part in parts)


def window_text(notice: Notice, words: Words = ENGLISH) -> str:
    """The sentence of a notice for the window. It includes the names, which the window does not show elsewhere."""
    match notice.code:
        case Code.INVALID_FILE:
            form = words.gettext("Invalid or corrupted {kind} file. {file_name} was not added.")
            return form.format_map(_values(notice, words))
        case Code.WAITING_FOR_PEERS:
            missing = words.gettext("Missing at {peers}.").format_map(_values(notice, words))
            return f"{notice_text(notice, words)} {missing}"
    return notice_text(notice, words)


def peer_joined_text(event: e.PeerJoined, words: Words = ENGLISH) -> str:
    """The sentence for the window when a peer has joined or is back."""
    form = words.gettext("{name} is back.") if event.again else words.gettext(PLAIN_EVENTS[e.PeerJoined])
    return form.format(name=event.name)


def short_text(notice: Notice, words: Words = ENGLISH) -> str:
    """The text of a notice that follows the name of its file, without a full stop."""
    template = SHORT.get(notice.code)
    if template is None:
        return notice_text(notice, words).removesuffix(".")
    return words.gettext(template).format_map(_values(notice, words))


def peer_left_text(event: e.PeerLeft, words: Words = ENGLISH) -> str:
    """The sentence when a peer has left, with the reason. Empty if the peer reconnects at once."""
    match event.reason.code:
        case Code.PEER_RECONNECTED:
            return ""
        case Code.PEER_LEFT:
            return words.gettext("{name} has left.").format(name=event.name)
        case Code.PEER_REMOVED:
            return words.gettext("{name} was removed.").format(name=event.name)
    why = notice_text(event.reason, words)
    if not why:
        return words.gettext("{name} has left.").format(name=event.name)
    # The text of another machine or of the system may not be a complete sentence.
    form = words.gettext("{name} has left. {why}") if why.endswith(".") else words.gettext("{name} has left ({why}).")
    return form.format(name=event.name, why=why)


def added_text(event: e.FilesAdded, words: Words = ENGLISH) -> str:
    """One sentence about the added files and the ones left out."""
    if not event.added and not event.left_out:
        return words.gettext("There was nothing to add.")
    if event.added:
        text = words.ngettext("Added {number} track", "Added {number} tracks", event.added).format(number=event.added)
    else:
        text = words.gettext("Added no tracks")
    if event.left_out:
        parts = [
            f"{_cut(_label(one.name, words))} ({short_text(one.notice, words)})" for one in event.left_out[:MAX_NAMED]
        ]
        if len(event.left_out) > MAX_NAMED:
            parts.append(
                words.gettext("{number} more (see: phaselock log)").format(number=len(event.left_out) - MAX_NAMED)
            )
        number = len(event.left_out)
        form = words.ngettext("; left out {number}: {list}", "; left out {number}: {list}", number)
        text += form.format(number=number, list=joined(parts, words))
    return text + "."


def request_text(event: e.RequestChanged, words: Words = ENGLISH) -> str:
    """The state of a song request, at the host or at the requesting peer. Empty if only bytes were transferred."""
    request = event.request
    if request.done_bytes and request.state is RequestState.ACCEPTED:
        return ""
    template = (REQUESTS if request.peer else OWN_REQUESTS)[request.state]
    return words.gettext(template).format(
        peer=request.peer,
        song=song_text(request.title, request.artist, request.file_name),
        number=request.number,
        megabytes=Figure(request.size / 1e6, ".1f").translated(words),
        reason=translated(request.reason, words),
        percent=request.converted_percent or 0,
    )


def transfer_text(event: e.TransferChanged, words: Words = ENGLISH) -> str:
    """The state of a transfer at the host, or at a peer that an attempt has failed. Otherwise empty."""
    template = TRANSFERS.get(event.state, "")
    if event.peer is None:
        template = NOT_ARRIVED if event.state is e.TransferState.FAILED else ""
    reason = translated(event.reason or "", words)
    values = {"peer": event.peer, "file_name": event.file_name, "reason": reason}
    return words.gettext(template).format_map(values) if template else ""


def device_text(event: e.DeviceChanged, words: Words = ENGLISH) -> str:
    """The state of an audio output. Empty for a peer's output whose delay is known exactly."""
    match event.state, event.peer:
        case "open", None:
            known = TIMING_SENTENCES[event.timing or "unknown"]
            output = words.gettext("The output is {name}.").format(name=event.name)
            return f"{output} {words.gettext(known) if known else ''}".rstrip()
        case "none", None:
            advice = words.gettext(NO_OUTPUT_HINT)
            text = f"{translated(event.detail, words)} {advice}"
            return words.gettext("Warning: {message}").format(message=text)
        case _, None:
            return translated(event.detail, words)
        case "open", peer if event.timing not in ("exact", None):
            known = words.gettext(TIMING_PHRASES[event.timing or "unknown"])
            return words.gettext("{peer} plays on {name}: {known}.").format(peer=peer, name=event.name, known=known)
        case "none", peer:
            return words.gettext("{peer} has no audio output.").format(peer=peer)
    return ""


def event_text(event: e.Event, words: Words = ENGLISH) -> str:
    """The sentence of an event for the command line. Empty if the event has none or is printed in another form."""
    match event:
        case e.Warned():
            return words.gettext("Warning: {message}").format(message=notice_text(event.notice, words, hints=True))
        case e.Failed():
            return notice_text(event.notice, words, hints=True)
        case e.SessionEnded():  # after a failure the program prints the reason when it exits
            return "" if event.failed else notice_text(event.reason, words)
        case e.Answered():
            return notice_text(event.notice, words)
        case e.PeerLeft():
            return peer_left_text(event, words)
        case e.Joined(again=True, moved=moved):
            return "" if moved else words.gettext(HOST_HEARD_AGAIN)
        case e.HostChanged(name=name, you=you, cause=cause):
            return words.gettext((NEW_HOSTS_HERE if you else NEW_HOSTS)[cause]).format(name=name)
        case e.TransferChanged():
            return transfer_text(event, words)
        case e.RequestChanged():
            return request_text(event, words)
        case e.ConversionChanged(state=state):
            form = CONVERSIONS.get(state, "")
            return words.gettext(form).format_map(_Values(event)) if form else ""
        case e.DeviceChanged():
            return device_text(event, words)
        case e.VolumeSet(muted=muted):
            form = (
                N_("The host has muted this speaker.") if muted else N_("The host has set this speaker to {number} %.")
            )
            return words.gettext(form).format(number=event.volume_percent)
        case e.RoleSet(role=role):
            form = N_("The host has set this speaker to play {role}.")
            return words.gettext(form).format(role=words.gettext(ROLE_PHRASES[role]))
        case e.LoudnessSet(target_lufs=target_lufs):
            if target_lufs is None:
                return words.gettext(N_("Every song plays as loud as it is."))
            number = Figure(target_lufs, "g").translated(words)
            return words.gettext(N_("All songs play at {number} LUFS.")).format(number=number)
        case e.SongLoudness():
            return _song_loudness_text(event, words)
        case e.SessionOpened(code=code, needs_code=True):
            opened = words.gettext(PLAIN_EVENTS[e.SessionOpened]).format_map(_Values(event))
            known = _code_text(code, words) if code else words.gettext(N_("Who joins must know your code."))
            return f"{opened}\n{known}"
        case e.CodeSet(code=code):
            return _code_text(code, words)
        case e.InvitationChanged():
            return invitation_text(event, words)
        case e.TransitionsSet():
            return _transitions_text(event, words)
        case e.FilesAdded():
            return added_text(event, words)
        case e.LibraryChanged():
            return library_text(event, words)
    template = PLAIN_EVENTS.get(type(event), "")
    if template:
        return words.gettext(template).format_map(_Values(event))
    return party_text(event, words) or hearing_text(event, words)


def _code_text(code: str, words: Words) -> str:
    if not code:
        return words.gettext(N_("Everybody on this network may join."))
    return words.gettext(N_("Who joins must know the code: {code}")).format(code=shown_code(code))


def invitation_text(event: e.InvitationChanged, words: Words = ENGLISH) -> str:
    """The invitation's line, and what is known of the way to this machine."""
    known = translated(event.sentence, words)
    if event.state is InvitationState.CLOSED:
        return words.gettext(N_("The ports for friends elsewhere are closed."))
    if not event.text:
        return known
    return "\n".join(
        filter(
            None,
            [
                words.gettext(
                    N_("Send your friend this line. It is pasted into PhaseLock's window, or follows phaselock join:")
                ),
                event.text,
                known,
            ],
        )
    )


def library_text(event: e.LibraryChanged, words: Words = ENGLISH) -> str:
    """What is known of the music folder."""
    values = {"folder": event.folder, "number": event.songs, "percent": event.done_percent, "detail": event.reason}
    match event.state:
        case e.LibraryState.OFF:
            return words.gettext(N_("There is no music folder."))
        case e.LibraryState.READING:
            return words.gettext(N_("Reading the music folder: {percent} %.")).format_map(values)
        case e.LibraryState.READY:
            form = words.ngettext(
                "{number} song can be searched in {folder}.",
                "{number} songs can be searched in {folder}.",
                event.songs,
            )
        case e.LibraryState.AWAY:
            form = words.gettext(
                N_("The music folder {folder} cannot be reached. What was found there last can still be searched.")
            )
        case e.LibraryState.FAILED:
            form = words.gettext(N_("The music folder {folder} cannot be indexed: {detail}"))
    return form.format_map(values)


def _transitions_text(event: e.TransitionsSet, words: Words) -> str:
    fade = (
        N_("Songs cross-fade for {number} s.")
        if event.crossfade_s
        else N_("Songs follow each other without a crossfade.")
    )
    silence = N_("Silence at their ends is skipped.") if event.skip_silence else N_("Silence at their ends is played.")
    number = Figure(event.crossfade_s, "g").translated(words)
    return f"{words.gettext(fade).format(number=number)} {words.gettext(silence)}"


def _song_loudness_text(event: e.SongLoudness, words: Words) -> str:
    if event.integrated_lufs is None:
        silent = N_("{song} is silent, or too short to be measured.")
        return words.gettext(silent if event.measured else N_("{song} is not measured yet.")).format(song=event.song)
    form = N_("{song}: {number} LUFS by its tags.")
    if event.measured and event.range_lu is not None:
        form = N_("{song}: {number} LUFS, true peak {peak} dBTP, loudness range {range} LU.")
    elif event.measured:
        form = N_("{song}: {number} LUFS, true peak {peak} dBTP.")
    figures = {"number": event.integrated_lufs, "peak": event.true_peak_dbtp, "range": event.range_lu}
    texts = {name: Figure(value, ".1f").translated(words) for name, value in figures.items() if value is not None}
    gain = N_("It plays as loud as it is.")
    if event.gain_db:
        louder = N_("It plays {number} dB louder than it is.")
        gain = louder if event.gain_db > 0 else N_("It plays {number} dB quieter than it is.")
    gain_text = words.gettext(gain).format(number=Figure(abs(event.gain_db), ".1f").translated(words))
    return f"{words.gettext(form).format(song=event.song, **texts)} {gain_text}"


def song_text(title: str, artist: str, file_name: str) -> str:
    """What people call a song: its title and artist, or the name of its file if it has no tags."""
    return " – ".join(filter(None, (title, artist))) or file_name


def song_of(snapshot: SessionSnapshot, file_id: UUID) -> str | None:
    """What people call this track of the session; None if it is not known here."""
    items = (*snapshot.queue, *filter(None, (snapshot.now, snapshot.waiting_for)))
    item = next((item for item in items if item.id == file_id), None)
    return song_text(item.title, item.artist, item.file_name) if item else None


def with_songs(event: e.Event, name_of: Callable[[UUID], str | None]) -> e.Event:
    """The event with the name of its song in place of the name of its file, for people. `name_of` gives the name of a
    track as `song_text` makes it; None: not known."""
    about = event.notice if isinstance(event, e.NoticeEvent) else event
    file_id = getattr(about, "file_id", None)
    name = None if file_id is None else name_of(file_id)
    if name is None:
        return event
    if isinstance(event, e.NoticeEvent):
        return dataclasses.replace(event, notice=dataclasses.replace(event.notice, file_name=name))
    return dataclasses.replace(event, file_name=name)  # type: ignore[call-arg]  # it is an event with a `file_id`


def time_text(seconds: float) -> str:
    """A position in a track: "2:34", "1:02:03". A negative or non-finite value becomes "0:00"."""
    whole = int(max(0.0, seconds)) if math.isfinite(seconds) else 0
    minutes, hours = whole // 60 % 60, whole // 3600
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


class _Values(dict[str, Any]):
    """The fields of an event by name, and `position` as minutes and seconds."""

    def __init__(self, event: e.Event) -> None:
        super().__init__()
        self._event = event

    def __missing__(self, name: str) -> Any:
        return time_text(self["position_s"]) if name == "position" else getattr(self._event, name)


def _values(notice: Notice, words: Words) -> dict[str, object]:
    return {
        "detail": translated(notice.detail, words),
        "file_name": _label(notice.file_name, words),
        "kind": format_of(str(notice.file_name or "")),
        "peer": notice.peer,
        "peers": joined(notice.peers, words),
        "number": notice.number,
        "address": notice.address,
        "choices": ", ".join(notice.choices),
        "role": words.gettext(ROLE_PHRASES[notice.role]) if notice.role else "",
    }


def _label(name: str | None, words: Words) -> str:
    """The name of a file; or a text of ours in the place of a name, translated."""
    return name.translated(words) if isinstance(name, Message) else name or ""


def _cut(name: str) -> str:
    half = MAX_NAME_CHARS // 2
    return name if len(name) <= MAX_NAME_CHARS else f"{name[:half]}…{name[1 - half :]}"
