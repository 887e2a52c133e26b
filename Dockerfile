# The service for an external Postgres. Only what is named here enters the image, so it needs no .dockerignore and
# no second stage: the one layer that could be smaller, npm's cache, is a mount.
FROM node:24-slim
ENV NODE_ENV=production HOST=0.0.0.0 PORT=8000
WORKDIR /app

# The postinstall script applies patches/ to the database driver. The embedded Postgres is the optional part.
COPY package.json package-lock.json ./
COPY patches patches
RUN --mount=type=cache,target=/root/.npm npm ci --omit=dev --omit=optional --no-audit --no-fund

COPY drizzle drizzle
COPY src src

USER node
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT}/health/live`).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "src/server.ts"]
