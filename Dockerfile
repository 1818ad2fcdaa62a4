# Container image of bankwatch; see docs/autostart.md.
ARG BUILD_IMAGE=rust:1-bookworm
ARG BASE_IMAGE=debian:bookworm-slim

FROM ${BUILD_IMAGE} AS build
WORKDIR /build
# cmake builds the MQTT library.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends cmake libmariadb-dev libssl-dev \
    && rm -rf /var/lib/apt/lists/*
COPY Cargo.toml Cargo.lock build.rs ./
COPY benches benches
COPY migrations migrations
COPY src src
# A member of the workspace; it is not compiled here.
COPY tests/support tests/support
RUN cargo build --release --locked --bin bankwatch

FROM ${BASE_IMAGE}
# CA certificates for TLS; time zones for the local time in the status file.
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
