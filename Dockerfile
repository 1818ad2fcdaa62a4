# bankwatch in a container; see docs/autostart.md.
ARG BUILD_IMAGE=rust:1-bookworm
ARG BASE_IMAGE=debian:bookworm-slim

FROM ${BUILD_IMAGE} AS build
WORKDIR /build
COPY Cargo.toml Cargo.lock ./
COPY benches benches
COPY src src
RUN cargo build --release --locked --bin bankwatch

FROM ${BASE_IMAGE}
# The zone of the status file's local time.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends tzdata \
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
