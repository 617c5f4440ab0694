"""Shapes of what the simulator answers and tells, for its api-docs: clients are made from them."""

from __future__ import annotations

__all__ = ["EVENTS", "MODELS"]

# Notation: names with blanks between them; "!" behind one that is always there, then ":" and the type where it is
# not a string.
MODELS = {
    "applications": {
        "Application": (
            "name! channel_ids!:List[string] bridge_ids!:List[string] endpoint_ids!:List[string]"
            " device_names!:List[string] events_allowed!:List[object] events_disallowed!:List[object]"
        ),
    },
    "asterisk": {
        "BuildInfo": "os! kernel! options! machine! date! user!",
        "SystemInfo": "version! entity_id!",
        "SetId": "user! group!",
        "ConfigInfo": "name! default_language! max_channels:int max_open_files:int max_load:double setid!:SetId",
        "StatusInfo": "startup_time!:Date last_reload_time!:Date",
        "AsteriskInfo": "build:BuildInfo system:SystemInfo config:ConfigInfo status:StatusInfo",
        "AsteriskPing": "asterisk_id! ping! timestamp!",
        "Module": "name! description! use_count!:int status! support_level!",
        "LogChannel": "channel! type! status! configuration!",
        "Variable": "value!",
        "Variables": "variables!:object",
        "ConfigTuple": "attribute! value!",
    },
    "bridges": {
        "Bridge": (
            "id! technology! bridge_type! bridge_class! creator! name! channels!:List[string] video_mode"
            " video_source_id creationtime!:Date bridgevars:object"
        ),
    },
    "channels": {
        "DialplanCEP": "context! exten! priority!:long app_name! app_data!",
        "CallerID": "name! number!",
        "RTPstat": "txcount!:int rxcount!:int channel_uniqueid!",
        "Channel": (
            "id! protocol_id! name! state! caller!:CallerID connected!:CallerID accountcode! dialplan!:DialplanCEP"
            " creationtime!:Date language! channelvars:object caller_rdnis tenantid"
        ),
    },
    "deviceStates": {"DeviceState": "name! state!"},
    "endpoints": {
        "Endpoint": "technology! resource! state channel_ids!:List[string]",
        "TextMessage": "from! to! body! variables:object",
    },
    "mailboxes": {"Mailbox": "name! old_messages!:int new_messages!:int"},
    "playbacks": {"Playback": "id! media_uri! next_media_uri target_uri! language state!"},
    "recordings": {
        "StoredRecording": "name! format!",
        "LiveRecording": (
            "name! format! target_uri! state! duration:int talking_duration:int silence_duration:int cause"
        ),
    },
    "sounds": {
        "FormatLangPair": "language! format!",
        "Sound": "id! text formats!:List[FormatLangPair]",
    },
}
"""Fields of each model, by resource and name."""

EVENTS = {
    "ApplicationMoveFailed": "channel!:Channel destination! args!:List[string]",
    "ApplicationReplaced": "",
    "BridgeCreated": "bridge!:Bridge",
    "BridgeDestroyed": "bridge!:Bridge",
    "ChannelCallerId": "caller_presentation!:int caller_presentation_txt! channel!:Channel",
    "ChannelConnectedLine": "channel!:Channel",
    "ChannelCreated": "channel!:Channel",
    "ChannelDestroyed": "cause!:int cause_txt! tech_cause:int channel!:Channel",
    "ChannelDialplan": "channel!:Channel dialplan_app! dialplan_app_data!",
    "ChannelEnteredBridge": "bridge!:Bridge channel:Channel",
    "ChannelHangupRequest": "cause:int tech_cause:int soft:boolean channel!:Channel",
    "ChannelLeftBridge": "bridge!:Bridge channel!:Channel",
    "ChannelStateChange": "channel!:Channel",
    "ChannelUserevent": "eventname! channel:Channel bridge:Bridge endpoint:Endpoint userevent!:object",
    "ChannelVarset": "variable! value! channel:Channel",
    "DeviceStateChanged": "device_state!:DeviceState",
    "Dial": "caller:Channel peer!:Channel forward forwarded:Channel dialstring dialstatus!",
    "PlaybackContinuing": "playback!:Playback",
    "PlaybackFinished": "playback!:Playback",
    "PlaybackStarted": "playback!:Playback",
    "RecordingFinished": "recording!:LiveRecording",
    "RecordingStarted": "recording!:LiveRecording",
    "StasisEnd": "channel!:Channel",
    "StasisStart": "args!:List[string] channel!:Channel replace_channel:Channel",
}
"""Fields of each event that the simulator tells, besides those that all events have."""
