# A node of Tidemark: the package as `npm pack` makes it, on the one version of Node that its histories are folded with.
# An app of your own: FROM tidemark:0.1.0, COPY it below /srv, and name it in CMD.
FROM node:24.21.0-bookworm-slim AS build
WORKDIR /src
COPY package.json package-lock.json ./
# Nothing that is installed runs scripts of its own.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY . .
# The versions of packages are part of a job's history: those of the lockfile, not the newest that would do. The image's own Node is the
# one that the platform's package would bring a second time.
RUN npm pack --pack-destination /tmp \
 && npm prune --omit=dev --ignore-scripts --no-audit --no-fund \
 && mkdir -p /srv/node_modules \
 && cp -a node_modules/. /srv/node_modules/ \
 && rm -rf /srv/node_modules/node-linux-* /srv/node_modules/node-win-* /srv/node_modules/.cache /srv/node_modules/.bin/node \
 && tar -xzf /tmp/tidemark-*.tgz -C /tmp \
 && mv /tmp/package /srv/node_modules/tidemark

FROM node:24.21.0-bookworm-slim
# Process 1 cannot kill itself, and a node whose thread hangs does just that: it needs one above it.
RUN apt-get update \
 && apt-get install -y --no-install-recommends tini \
 && rm -rf /var/lib/apt/lists/*
COPY --from=build /srv /srv
# The root may be read-only: a node writes here, and into /tmp the socket to the process that runs models.
RUN install -d -o 1000 -g 1000 -m 700 /var/lib/tidemark
VOLUME /var/lib/tidemark
ENV NODE_ENV=production TIDEMARK_DATA_DIR=/var/lib/tidemark
WORKDIR /srv
USER 1000:1000
EXPOSE 7070
ENTRYPOINT ["/usr/bin/tini", "--", "node", "/srv/node_modules/tidemark/setup/tidemark.mjs", "node"]
CMD []
