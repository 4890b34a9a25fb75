"""The look of what is drawn: colours by name, and the classes that drawings have."""

LIGHT = """\
--bg:#fff; --fg:#1f2430; --dim:#656d7a; --line:#e3e6eb; --slot:#eef0f3; --card:#f7f8fa;
  --blue:#1f6feb; --grey:#aab2bf; --orange:#d9480f; --none:#c6ccd5; --standard:#1f6feb; --pre:#7c5cd6; --post:#0f8a63;
  --identity:#c2378a; --inner:#b7791f;"""
"""Colours on a white ground, as variables of CSS."""
DRAWN = """\
svg { max-width:100%; height:auto; overflow:visible; font:12px system-ui, Arial, sans-serif; }
.strip { max-width:none; }
.grid { stroke:var(--line); } .axis { stroke:var(--dim); } .tick, .title, .label { fill:var(--dim); }
.label { fill:var(--fg); font-weight:600; paint-order:stroke; stroke:var(--bg); stroke-width:5px; }
.front { fill:none; stroke:var(--blue); stroke-width:2; }
.dot { cursor:pointer; outline:none; stroke:var(--bg); } .dot.on { fill:var(--blue); } .dot.off { fill:var(--grey); }
.dot.one { fill:var(--grey); stroke:none; opacity:.75; }
.interval { fill:none; stroke-width:1.6; } .interval.on { stroke:var(--blue); } .interval.off { stroke:var(--grey); }
.interval.random { stroke:var(--pre); } rect.random { fill:var(--pre); }
.dot:hover, .dot:focus, .dot.hot { stroke:var(--fg); stroke-width:2; }
.ring { fill:none; stroke:var(--orange); stroke-width:2.5; pointer-events:none; }
.ring.open { stroke-dasharray:5 4; }
.base { fill:none; stroke:var(--fg); stroke-width:1.4; pointer-events:none; }
.slot { fill:var(--slot); } .none { fill:var(--none); } .p-standard { fill:var(--standard); }
.p-pre { fill:var(--pre); } .p-post, .p-post_before_relu { fill:var(--post); } .p-identity { fill:var(--identity); }
.p-inner, .p-inner_before_relu { fill:var(--inner); }"""
"""Of what both pages draw."""
