"""The SDK's models and exception where the SDK is installed, our equivalents where it is not."""

try:
    from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
    from tencentcloud.iai.v20200303.models import (
        AnalyzeFaceRequest,
        AnalyzeFaceResponse,
        DetectFaceRequest,
        DetectFaceResponse,
        FaceAttributesInfo,
        FaceHairAttributesInfo,
        FaceInfo,
        FaceQualityCompleteness,
        FaceQualityInfo,
        FaceShape,
        Point,
    )
except ImportError:
    from faceshape.tencent.light_models import (
        AnalyzeFaceRequest,
        AnalyzeFaceResponse,
        DetectFaceRequest,
        DetectFaceResponse,
        FaceAttributesInfo,
        FaceHairAttributesInfo,
        FaceInfo,
        FaceQualityCompleteness,
        FaceQualityInfo,
        FaceShape,
        Point,
        TencentCloudSDKException,
    )

__all__ = [
    "AnalyzeFaceRequest",
    "AnalyzeFaceResponse",
    "DetectFaceRequest",
    "DetectFaceResponse",
    "FaceAttributesInfo",
    "FaceHairAttributesInfo",
    "FaceInfo",
    "FaceQualityCompleteness",
    "FaceQualityInfo",
    "FaceShape",
    "Point",
    "TencentCloudSDKException",
]
