# The program nst-tf, as a user without rights. docs/machines.md has the command.
#   docker build --tag nst-tf .
#   docker build --tag nst-tf:gpu --build-arg EXTRA=gpu .
# Another extra is installed likewise, such as EXTRA=web or EXTRA=gpu,formats.
FROM python:3.12-slim
ARG EXTRA=""
RUN --mount=type=bind,target=/source,rw \
    pip install --no-cache-dir "/source${EXTRA:+[$EXTRA]}" \
    && mkdir --mode=1777 /cache /work
# Any user may write there: --user="$(id -u)" makes pictures your own.
ENV XDG_CACHE_HOME=/cache
VOLUME /cache
WORKDIR /work
USER 10001:10001
ENTRYPOINT ["nst-tf"]
CMD ["--help"]
