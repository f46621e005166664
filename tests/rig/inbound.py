"""Where inbound calls arrive in tests, by the number that was dialled.

`dial-` numbers lead to Dial, `queue-` ones to a queue; `-answers` to somebody who answers, `-rings` to
somebody whose phone rings, `-misses` to the same, but only for a second.
"""

# The last two digits tell carrier 1 to ring for ever; carrier 2 answers every call. They stand for our people
# here: as globals, so that the doctor does not take these contexts for ways to a trunk.
_RINGS = "${OF_US_RINGING}"
_ANSWERS = "${OF_US_ANSWERING}"

INBOUND_DIALPLAN = f"""
#include callguard-inbound.conf

[globals](+)
OF_US_RINGING = PJSIP/200088@carrier
OF_US_ANSWERING = PJSIP/200000@carrier2

[from-carrier](+)
exten => dial-answers,1,Gosub(from-carrier,report,1)
 same => n,Dial({_ANSWERS})
 same => n,Hangup()
exten => dial-rings,1,Gosub(from-carrier,report,1)
 same => n,Dial({_RINGS})
 same => n,Hangup()
exten => dial-misses,1,Gosub(from-carrier,report,1)
 same => n,Dial({_RINGS},1)
 same => n,Hangup(19)
exten => queue-answers,1,Gosub(from-carrier,report,1)
 same => n,Answer()
 same => n,Queue(answers)
 same => n,Hangup()
exten => queue-rings,1,Gosub(from-carrier,report,1)
 same => n,Answer()
 same => n,Queue(rings)
 same => n,Hangup()
exten => queue-empty,1,Gosub(from-carrier,report,1)
 same => n,Answer()
 same => n,Queue(empty)
 same => n,Hangup()
; It has a time limit of its own, which the report must leave in place.
exten => limited,1,Set(TIMEOUT(absolute)=2)
 same => n,Gosub(from-carrier,report,1)
 same => n,Answer()
 same => n,Wait(30)
exten => T,1,Hangup()
exten => report,1,Set(CALLGUARD_PROJECT=bank)
 same => n,Gosub(callguard-inbound,s,1)
 same => n,Return()

[members]
exten => answers,1,Dial({_ANSWERS})
exten => rings,1,Dial({_RINGS})
"""

INBOUND_FILES = {
    "queues.conf": """
[general]
[answers]
member => Local/answers@members
[rings]
member => Local/rings@members
[empty]
"""
}
