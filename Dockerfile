# The challenge's evaluator builds this image, mounts the repository with its weights, and imports models.user_config.
#
# A plain Python base is enough for a GPU: torch's wheels on PyPI bring the CUDA libraries that they were built
# with, and the driver comes from the host. torch 2.13's are of CUDA 13, which needs driver 580 or newer and still
# covers the T4 (compute capability 7.5). For a host with an older driver (525 or newer) pass --build-arg TORCH_INDEX
# with the address of PyTorch's own index of builds for CUDA 12.6.
FROM python:3.11-slim-bookworm

ARG TORCH_INDEX=""

ENV LANG=C.UTF-8 \
    PYTHONUNBUFFERED=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    HF_HUB_OFFLINE=1 \
    VLLM_NO_USAGE_STATS=1 \
    PATH=/home/aicrowd/venv/bin:$PATH

# gcc and libc6-dev: Triton, which torch and the AWQ kernels use on a GPU, compiles its launcher at run time; they also
# build those packages of requirements-gpu.txt that are published as source, with libpcre2-dev for one of them.
COPY apt.txt /tmp/apt.txt
RUN apt-get update \
    && xargs -r -a /tmp/apt.txt apt-get install -y --no-install-recommends \
    && rm -rf /var/lib/apt/lists/*

RUN groupadd -g 1001 aicrowd && useradd -m -s /bin/bash -u 1001 -g aicrowd aicrowd
USER aicrowd
WORKDIR /home/aicrowd

# The environment is the user's own, so that the evaluator can add its client to it.
RUN python -m venv venv
COPY --chown=1001:1001 requirements.txt requirements-gpu.txt ./
RUN pip install "$(grep '^torch==' requirements.txt)" ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} \
    && pip install -r requirements.txt

# No build isolation: the packages for GPUs are built against the torch installed above, not against one of their own.
# So the tools that build them have to be here, and the venv's setuptools is too old for them.
RUN pip install setuptools==82.0.1 wheel==0.48.0 \
    && pip install --no-build-isolation -r requirements.txt -r requirements-gpu.txt
