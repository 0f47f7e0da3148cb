// Swagger UI on the gateway's own description. Without a validator: that would be somebody else's host.
"use strict";

window.SwaggerUIBundle({
  url: "/openapi.json",
  domNode: document.getElementById("docs"),
  presets: [window.SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
  validatorUrl: null,
  deepLinking: true,
  docExpansion: "list",
  filter: true,
  requestSnippetsEnabled: true,
});
