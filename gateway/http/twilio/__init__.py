"""The part of Twilio's REST API that voice bots call while they are on the line: look at the call, end it,
send it on. Shapes: https://www.twilio.com/docs/voice/api/call-resource."""
