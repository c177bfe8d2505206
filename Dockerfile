FROM node:22.20.0-bookworm-slim AS build
WORKDIR /callrec
COPY package.json package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY . .
RUN npx tsc && npm prune --omit=dev

FROM node:22.20.0-bookworm-slim
WORKDIR /callrec
RUN install --directory --owner=node --group=999 --mode=2770 /var/lib/callrec
COPY --from=build /callrec/package.json ./
COPY --from=build /callrec/node_modules node_modules
COPY --from=build /callrec/build/src build/src
COPY --from=build /callrec/couchdb couchdb
COPY --from=build /callrec/callflows callflows
COPY --from=build /callrec/freeswitch freeswitch
USER node
CMD ["node", "build/src/cli.js", "start"]
