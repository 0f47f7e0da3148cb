// Swagger UI for the gateway's OpenAPI document. The validator is off, because it runs on another host.
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
