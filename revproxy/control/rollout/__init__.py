"""
How a new version earns its place: what is decided of rollouts, without files, clocks or workers.

- `preflight`: what a version has to pass before it meets any request;
- `judge`: decides by what workers tell; `stepclock` is its clock, `soundness` what it believes;
  `verdict` is what it says, `findings` and `curve` what it shows, `reasons` its words;
- `canaryjudge`: by clients that the candidate serves: `labels` of who something happens to first, weighed by `mixture`;
  `mediantime`; `power`, what would have been seen by now;
- `shadowjudge`: by calls on copies, difference by difference (`differencegroup`);
- `hardlimits`: what is never waited for;
- `planner`: says beforehand how long it takes, and what cannot be shown, by `detection`; `cautions`, what else is to
  be known;
- `rollout`: one of them: `machine` is its life, `draw` whose version the clients meet, `sharewatch` whether these are
  as many requests; `decision` is what is done next; `rolloutfile`, how it is kept, `wording`, how it is told.
"""
