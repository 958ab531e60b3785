"""`GET /supportedimages`: a few images that Azure has had for years. Any image is accepted: nodes are this machine."""

from dataclasses import dataclass

from localcloud.batch.wire.resources import Resource


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image and the node agent that belongs to it."""

    order: int
    agent: str
    publisher: str
    offer: str
    sku: str
    os: str = "linux"


SUPPORTED_IMAGES = (
    Image(
        order=1,
        agent="batch.node.ubuntu 22.04",
        publisher="canonical",
        offer="0001-com-ubuntu-server-jammy",
        sku="22_04-lts",
    ),
    Image(order=2, agent="batch.node.ubuntu 22.04", publisher="microsoft-dsvm", offer="ubuntu-hpc", sku="2204"),
    Image(order=3, agent="batch.node.ubuntu 24.04", publisher="canonical", offer="ubuntu-24_04-lts", sku="server"),
    Image(order=4, agent="batch.node.debian 12", publisher="debian", offer="debian-12", sku="12-gen2"),
    Image(order=5, agent="batch.node.el 9", publisher="almalinux", offer="almalinux-x86_64", sku="9-gen2"),
)


def image_resource() -> "Resource[Image]":
    return Resource(
        name="supportedimages",
        properties={
            "nodeAgentSKUId": lambda i: i.agent,
            "imageReference": lambda i: {
                "publisher": i.publisher,
                "offer": i.offer,
                "sku": i.sku,
                "version": "latest",
            },
            "osType": lambda i: i.os,
            "capabilities": lambda i: [],
            "verificationType": lambda i: "verified",
        },
        filterable={
            "nodeAgentSKUId": lambda i: i.agent,
            "osType": lambda i: i.os,
            "verificationType": lambda i: "verified",
        },
    )
