"""
Which rules fire, and who is told.

- `labels` says what an alert is: its fingerprint, and what matches it;
- `alert` is one alert as a value; `alertbook` has all of them, and what becomes of each: pending, firing, resolved;
- `endings` says which events end which; `evaluation` compares figures with what rules say, in slices;
- `silences` keep alerts from being told;
- `outbox` groups what a receiver has not been told yet into `messages`, and keeps them until they are delivered;
- `courier` takes them there, and tries again; `webhook` and `slack` are the forms of a message;
- `alertmanager` is the other way of telling: what fires, again and again;
- `sender` is the only one that speaks HTTP;
- `receivers` are all of them; `alertfile` is what is kept on disk;
- `alerts` is the whole.

>>> from revproxy.control.alerts.labels import fingerprint
>>> fingerprint({"alertname": "target-down", "upstream": "api"}) == fingerprint(
...     {"upstream": "api", "alertname": "target-down"})
True
"""
