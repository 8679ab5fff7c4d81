/** `/docs`: the OpenAPI document as one page of HTML. No script, nothing from elsewhere, so that it works where there is no network. */
import type { OpenApiDocument, Operation } from "./openapi.ts";

export const DOCS_STYLE = `
:root { color-scheme: light dark; --line: #8884; --soft: #8882; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 60rem; padding: 1.5rem; }
h1 { margin: 0; } h2 { border-bottom: 1px solid var(--line); margin-top: 2.5rem; text-transform: capitalize; }
nav { margin: 1rem 0; } nav a { margin-right: .8rem; }
article { border: 1px solid var(--line); border-radius: .4rem; margin: 1rem 0; padding: .6rem 1rem; }
h3 { font: 600 1rem ui-monospace, monospace; margin: .2rem 0; overflow-wrap: anywhere; }
h3 b { display: inline-block; min-width: 3.5rem; } h3 a { color: inherit; text-decoration: none; }
small { background: var(--soft); border-radius: .3rem; font: .8rem system-ui, sans-serif; padding: .1rem .4rem; }
table { border-collapse: collapse; width: 100%; } th, td { border-top: 1px solid var(--line); padding: .25rem .5rem; text-align: left; vertical-align: top; }
th { font-weight: 600; white-space: nowrap; } code, pre { font: .85rem ui-monospace, monospace; }
pre { background: var(--soft); border-radius: .3rem; margin: .4rem 0; max-height: 24rem; overflow: auto; padding: .5rem; }
summary { cursor: pointer; }
`;

export function docsPage(document: OpenApiDocument): string {
  const info = document.info as { readonly title: string; readonly version: string; readonly description: string };
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })),
  );
  const sections = [...Map.groupBy(operations, ({ operation }) => operation.tags[0]!)];
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${escaped(info.title)} API</title><style>${DOCS_STYLE}</style></head>
<body>
<h1>${escaped(info.title)} API <small>${escaped(info.version)}</small></h1>
<p>${escaped(info.description)
    .replaceAll("\n", "<br>")
    .replaceAll(/`([^`]+)`/g, "<code>$1</code>")}</p>
<p>For programs: <a href="openapi.json">openapi.json</a></p>
<nav aria-label="Sections">${sections.map(([tag]) => `<a href="#${escaped(tag)}">${escaped(tag)}</a>`).join(" ")}</nav>
<main>
${sections.map(([tag, members]) => `<section id="${escaped(tag)}">\n<h2>${escaped(tag)}</h2>\n${members.map(article).join("\n")}\n</section>`).join("\n")}
</main>
</body>
</html>
`;
}

function article({ path, method, operation }: { readonly path: string; readonly method: string; readonly operation: Operation }): string {
  const { operationId, parameters, requestBody, responses, summary } = operation;
  const id = escaped(operationId);
  const rows = parameters.map(
    ({ name, in: place, required, description, schema }) =>
      `<tr><th scope="row"><code>${escaped(name)}</code></th><td>${place}${required ? ", required" : ""}</td><td>${escaped(description ?? "")}</td><td><code>${escaped(JSON.stringify(schema))}</code></td></tr>`,
  );
  return `<article id="${id}">
<h3><a href="#${id}"><b>${method}</b> ${escaped(path)}</a> <small>${escaped(operation["x-role"])}</small></h3>
<p>${escaped(summary)}</p>
${rows.length === 0 ? "" : `<table>${rows.join("")}</table>`}
${Object.entries(requestBody?.content ?? {})
  .map(([type, { schema }]) => schemaOf(`Body: ${type}`, schema))
  .join("")}
${Object.entries(responses)
  .flatMap(([status, { content }]) =>
    Object.entries(content ?? {}).map(([type, { schema }]) => schemaOf(`${status === "default" ? "Otherwise" : status}: ${type}`, schema)),
  )
  .join("")}
</article>`;
}

function schemaOf(title: string, schema: object): string {
  return `<details><summary>${escaped(title)}</summary><pre>${escaped(JSON.stringify(schema, null, 2))}</pre></details>`;
}

function escaped(text: string): string {
  const entities: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
  return text.replace(/[&<>"']/g, (character) => entities[character]!);
}
