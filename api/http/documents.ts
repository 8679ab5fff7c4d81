/** The API described by itself: `/openapi.json` for programs, `/docs` for people. Both hold nothing of the node's data. */
import { createHash } from "node:crypto";
import { Type } from "typebox";
import { DOCS_STYLE, docsPage } from "./docs-page.ts";
import { type OpenApiDocument, openApiDocument } from "./openapi.ts";
import type { Route } from "./route.ts";

/** The page has no script and no part from elsewhere; only its own style is let in, by its hash. */
const DOCS_CSP = `default-src 'none'; style-src 'sha256-${createHash("sha256").update(DOCS_STYLE).digest("base64")}'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'`;

/** `table` is asked when the first document is: it holds these routes too. */
export function documentRoutes(table: () => readonly Route[]): readonly Route[] {
  let made: OpenApiDocument | undefined;
  let page: string | undefined;
  const document = (): OpenApiDocument => {
    made ??= openApiDocument(table());
    return made;
  };
  return [
    {
      method: "GET",
      path: "/openapi.json",
      role: "public",
      summary: "This API as an OpenAPI 3.1 document",
      answers: { 200: Type.Object({ openapi: Type.Literal("3.1.0"), paths: Type.Object({}) }, { additionalProperties: true }) },
      handle: async () => ({ status: 200, body: document() }),
    },
    {
      method: "GET",
      path: "/docs",
      role: "public",
      summary: "This API as a page",
      answers: { 200: "text/html; charset=utf-8" },
      handle: async () => {
        page ??= docsPage(document());
        return { status: 200, body: page, headers: { "content-security-policy": DOCS_CSP } };
      },
    },
  ];
}
