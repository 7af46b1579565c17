# An image of a peer (and of every other command): docs/docker.md.

# ---- build: compilers and test tools stay here ----
FROM node:24-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
# the set-up of the repository installs and compiles; scripts of packages are not run, none is needed
COPY scripts ./scripts
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY bin ./bin
COPY src ./src
RUN npm run build && npm prune --omit=dev --ignore-scripts

# ---- what runs ----
FROM node:24-slim
ENV NODE_ENV=production \
    EFEDLLM_DATA_DIR=/data
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/bin ./bin
COPY --from=build /app/dist ./dist
COPY models/sotu-4m-compressed ./models/sotu-4m-compressed
COPY models/sotu-4m ./models/sotu-4m
COPY LICENSE NOTICE README.md ./
# key, caches and fetched models; the user of the image must own it before it becomes a volume
RUN mkdir /data && chown node:node /data
VOLUME /data
USER node
EXPOSE 4001
# a peer answers the info protocol of its own address where it serves; exit code 0
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 \
  CMD ["node", "bin/efedllm.mjs", "peers", "--join", "/ip4/127.0.0.1/tcp/4001"]
# Node as process 1 gets the signals itself: SIGTERM drains
STOPSIGNAL SIGTERM
ENTRYPOINT ["node", "bin/efedllm.mjs"]
CMD ["peer", "--listen", "/ip4/0.0.0.0/tcp/4001"]
