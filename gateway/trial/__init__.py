"""The outside world, simulated: carriers, phones, callers and webhook receivers for the demo and the tests.

Nothing here carries a real customer's call; everything listens on loopback only.

    audio          tones, µ-law, presence and tone detection, WAV (pure)
    sip_message    SIP text ↔ values (pure)            sip_digest, sdp    (pure)
    sip_wire       UDP, TCP and TLS; cutting a stream into messages (pure)
    sip_transport  one wire's transactions, retransmission, a record of every message
    sip_door       a registrar and a challenge to each INVITE (pure)
    rtp            RTP packets ↔ PCM; paced sending, capture
    sip_call       one simulated call: what it does by its Behaviour, what it saw
    sip_phone      many calls on one address: the simulated carrier, caller or registered phone
    sipp           SIPp: scenarios from typed parts, processes
    softphone      a pyVoIP softphone in a process of its own
    listener       a webhook receiver that checks signatures
"""
