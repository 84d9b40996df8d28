"""One self-contained HTML page for a reader who was not in the room.

`gathering` collects what is known, `words` says it, `pictures` draws it as inline SVG, `page` fills the
template. Every piece of foreign text (file names, run names, settings) reaches the page through the
template's escaping or the SVG writer's; nothing else may bring markup.
"""
