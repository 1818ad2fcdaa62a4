# bankwatch in a container; see docs/autostart.md.
ARG BUILD_IMAGE=rust:1-bookworm
ARG BASE_IMAGE=debian:bookworm-slim

FROM ${BUILD_IMAGE} AS build
WORKDIR /build
# The MQTT library is built from its source.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends cmake libmariadb-dev libssl-dev \
    && rm -rf /var/lib/apt/lists/*
COPY Cargo.toml Cargo.lock build.rs ./
COPY benches benches
COPY migrations migrations
COPY src src
# Of the same workspace; not compiled here.
COPY tests/support tests/support
RUN cargo build --release --locked --bin bankwatch

FROM ${BASE_IMAGE}
# TLS with whom the system trusts, and the zone of the status file's local time.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates libmariadb3 libssl3 tzdata \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --groups dialout --home-dir /data --create-home bankwatch
COPY --from=build /build/target/release/bankwatch /usr/local/bin/bankwatch
USER bankwatch
WORKDIR /data
VOLUME /data
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=60s --timeout=10s --start-period=60s --retries=3 CMD ["bankwatch", "healthcheck"]
ENTRYPOINT ["bankwatch"]
CMD ["run"]
