"""The style sheet of an HTML report. Colours are variables, with a second set for the dark."""

STYLE = """\
:root{--ink:#1f2328;--dim:#59636e;--page:#fff;--soft:#f4f5f7;--line:#d5d9de;--edge:#7a828c;
--good:#3f9a5f;--bad:#c0392b;--warn:#c98a1b;--run:#2f7fb5;
--done:#bfe5c8;--running:#bfe0f5;--ready:#dceefa;--parked:#f6dc9a;--skipped:#ece5c4;
--failed:#f5b7b1;--blocked:#f3d3cf;--cancelled:#e4dcb4;--plain:#e8eaed}
@media screen and (prefers-color-scheme:dark){
:root{--ink:#e3e6ea;--dim:#9aa4af;--page:#14171a;--soft:#1f2429;
--line:#3a4149;--edge:#8b949e;--good:#57b97a;--bad:#ff7b6e;--warn:#e3ad4b;--run:#5fb0e6;
--done:#1f4a2c;--running:#1c4560;--ready:#223846;--parked:#5c4714;--skipped:#454028;
--failed:#6b2620;--blocked:#4f2f2c;--cancelled:#4a4426;--plain:#30363d}}
*{box-sizing:border-box}
body{font:16px/1.5 system-ui,sans-serif;max-width:1100px;margin:0 auto;padding:1.2em 1em 4em;
color:var(--ink);background:var(--page);overflow-wrap:anywhere}
h1{font-size:1.5em;line-height:1.25}h2{margin-top:1.8em;border-bottom:1px solid var(--line)}
h4{margin:.9em 0 .2em}p{margin:.4em 0}small,dt{color:var(--dim)}
dl{display:grid;grid-template-columns:repeat(auto-fill,minmax(15em,1fr));gap:.5em 1.5em;
margin:1em 0}
dt{font-size:.85em}dd{margin:0}details dl{display:block}details dl div{margin:.4em 0}
.st{font-weight:600;color:var(--dim)}.st-completed,.st-done{color:var(--good)}
.st-failed,.st-terminated,.st-timed-out,.st-blocked,.failed{color:var(--bad)}
.st-cancelled,.st-parked,.st-skipped{color:var(--warn)}.st-running{color:var(--run)}
pre{margin:.3em 0;padding:.7em .9em;background:var(--soft);border-radius:6px;white-space:pre-wrap;
overflow-wrap:anywhere;max-height:32em;overflow-y:auto}
pre.prose{font:inherit}pre.json,pre.cmd{font:13px/1.45 ui-monospace,monospace}
pre.answer{max-height:none;border-left:4px solid var(--good)}
pre.cmd{white-space:pre;overflow-x:auto}
ul{padding-left:1.2em}.troubles{list-style:none;padding:0}
.troubles li{border-left:4px solid var(--bad);padding:.1em 0 .1em .8em;margin:.8em 0}
details{border:1px solid var(--line);border-radius:6px;margin:.5em 0;padding:.4em .8em}
summary{cursor:pointer}summary small{display:block}
table{border-collapse:collapse}td,th{border-bottom:1px solid var(--line);padding:.25em .8em;
text-align:left;min-width:7em}td.n,th.n{text-align:right;min-width:0;font-variant-numeric:tabular-nums;white-space:nowrap}
figure{overflow-x:auto;margin:1em 0}svg{display:block}svg .t{fill:var(--ink)}
.e{stroke:var(--edge);stroke-width:1.4}.e:hover{stroke:var(--run);stroke-width:3}
.tick{stroke:var(--line)}.axis{fill:var(--dim)}
.b-good{fill:var(--good);background:var(--good)}.b-rejected{fill:var(--warn);background:var(--warn)}
.b-failed{fill:var(--bad);background:var(--bad)}
.key{display:inline-block;width:.8em;height:.8em;border-radius:2px;margin-left:.5em}
.s-done{fill:var(--done)}.s-running{fill:var(--running)}.s-ready{fill:var(--ready)}
.s-parked{fill:var(--parked)}.s-skipped{fill:var(--skipped)}.s-failed{fill:var(--failed)}
.s-blocked{fill:var(--blocked)}.s-cancelled{fill:var(--cancelled)}
.s-plain,.s-waiting{fill:var(--plain)}
@media(max-width:600px){body{font-size:15px;padding:.8em .7em 3em}dl{grid-template-columns:1fr}
table,tbody,tr,td{display:block}thead{display:none}
tr{border:1px solid var(--line);border-radius:6px;margin:.6em 0;padding:.3em .7em}
td,td.n{border:0;padding:.1em 0;text-align:right;display:flex;justify-content:space-between;gap:1em}
td::before{content:attr(data-label);color:var(--dim);flex:none}}
@media print{pre{max-height:none}pre.cmd{white-space:pre-wrap}figure{overflow:visible}
svg[viewBox]{max-width:100%;height:auto}}"""
